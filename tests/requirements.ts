/**
 * What this program promises, one entry a promise. A test cites the entries that it proves with
 * {@linkcode verifies}; `tests/tidy/requirements_test.ts` fails on an entry without a test and on a
 * citation without an entry. The source names where the promise was made: the issue that asked for
 * it, or the design page.
 *
 * @module
 */

/** A promise. */
export interface Requirement {
  /** Area and name, lower case: `nmap.injection.refused`. */
  readonly id: string;
  /** What holds, in a sentence that can be false. */
  readonly behaviour: string;
  /** Who asked for it. */
  readonly source: "issue 2" | "issue 3" | "issue 4" | "issue 5" | "DESIGN";
}

/** Every promise, in the order of the issue. */
export const REQUIREMENTS = [
  // For the person
  {
    id: "setup.idempotent",
    behaviour:
      "scripts/setup.sh run a second time changes nothing and ends with 0",
    source: "issue 2",
  },
  {
    id: "setup.check_changes_nothing",
    behaviour:
      "scripts/setup.sh --check says what is missing and writes nothing",
    source: "issue 2",
  },
  {
    id: "setup.no_apt_says_what_to_install",
    behaviour:
      "On a system without apt, scripts/setup.sh names what has to be installed",
    source: "issue 2",
  },
  {
    id: "readme.links_resolve",
    behaviour: "Every link of the README that names a file names one",
    source: "issue 2",
  },
  {
    id: "readme.commands_exist",
    behaviour: "Every deno task that the README names is in deno.json",
    source: "issue 2",
  },
  {
    id: "readme.config_pastes",
    behaviour:
      "The mcpServers JSON of the README parses and starts this server",
    source: "issue 2",
  },
  {
    id: "demo.runs",
    behaviour:
      "deno task demo lists the tools, scans, shows three refusals and ends with 0",
    source: "issue 2",
  },
  {
    id: "serve.no_net",
    behaviour: "The stdio server is started without any network permission",
    source: "issue 2",
  },
  {
    id: "serve.flags.pinned",
    behaviour:
      "The flags of deno task serve are the written ones: run three names, named reads, one write, named env, no prompt",
    source: "issue 2",
  },
  {
    id: "serve.flags.minimal",
    behaviour:
      "The server reads and writes no path outside of the ones its flags name",
    source: "issue 2",
  },
  {
    id: "serve.stdout.frames_only",
    behaviour: "Standard output carries protocol frames and nothing else",
    source: "issue 2",
  },
  {
    id: "serve.logs.json_on_stderr",
    behaviour: "Logs are JSON, one object a line, on standard error",
    source: "issue 2",
  },
  {
    id: "serve.ends_with_stdin",
    behaviour:
      "When its client goes, the server ends and leaves no process behind",
    source: "issue 2",
  },
  {
    id: "cli.scan.exit_codes",
    behaviour:
      "deno task scan ends with 0 done, 2 refused, 3 failed, 4 timed out, 130 interrupted",
    source: "issue 2",
  },
  {
    id: "cli.scan.interrupt_leaves_nothing",
    behaviour:
      "An interrupt stops the scan of deno task scan and leaves no process behind",
    source: "issue 2",
  },
  {
    id: "cli.scan.json",
    behaviour:
      "deno task scan --json prints one JSON document and nothing else",
    source: "issue 2",
  },
  {
    id: "cli.scan.table_and_bar",
    behaviour:
      "deno task scan shows a progress bar with the time left on a terminal and a table at the end",
    source: "issue 2",
  },
  {
    id: "doctor.findings_have_remedies",
    behaviour:
      "Every finding of deno task doctor that is not good names its remedy, and the exit code tells",
    source: "issue 2",
  },
  {
    id: "doctor.json",
    behaviour: "deno task doctor --json prints its findings as JSON",
    source: "issue 2",
  },

  // Isolates
  {
    id: "isolate.grants.pinned",
    behaviour:
      "Each isolate reads back exactly the permissions that are written for it",
    source: "DESIGN",
  },
  {
    id: "isolate.wider_grant_fails_start",
    behaviour:
      "Start-up fails when an isolate may do more than its grant writes",
    source: "issue 2",
  },
  {
    id: "isolate.main_cannot_spawn",
    behaviour:
      "After start-up, code in the main isolate can start no process and no isolate with run",
    source: "issue 2",
  },
  {
    id: "isolate.guardrails_sealed",
    behaviour:
      "No message of the main isolate changes the guardrails of a tool isolate",
    source: "DESIGN",
  },
  {
    id: "isolate.no_argv_crosses",
    behaviour:
      "No message makes a tool isolate run a program, a flag or a target that its guardrails refuse",
    source: "DESIGN",
  },
  {
    id: "isolate.checked_twice",
    behaviour:
      "A request that main let through is parsed and judged in the tool isolate again",
    source: "DESIGN",
  },
  {
    id: "isolate.messages.malformed",
    behaviour: "Malformed messages are refused on both sides and survived",
    source: "issue 2",
  },
  {
    id: "isolate.messages.flood",
    behaviour: "A flood of messages is survived with bounded memory",
    source: "issue 2",
  },
  {
    id: "isolate.crash.answered",
    behaviour:
      "Every call in flight on a crashed isolate is answered with tool_unavailable",
    source: "issue 2",
  },
  {
    id: "isolate.crash.replaced",
    behaviour:
      "A crashed isolate is replaced by one with the same grant and guardrails",
    source: "issue 2",
  },
  {
    id: "isolate.cancel_is_a_message",
    behaviour: "Cancelling crosses to the tool isolate and ends its child",
    source: "issue 2",
  },
  {
    id: "isolate.graph.short",
    behaviour:
      "A tool isolate loads only error, spawn, scope, tools, isolate and the packages written down",
    source: "DESIGN",
  },
  {
    id: "isolate.error_is_data",
    behaviour: "An error crosses the boundary as code and message only",
    source: "DESIGN",
  },

  // Spawn
  {
    id: "spawn.one_place",
    behaviour: "Deno.Command occurs in src/spawn only",
    source: "DESIGN",
  },
  {
    id: "spawn.clean_environment",
    behaviour:
      "A child gets its limits as its whole environment, a fixed working directory and no standard input",
    source: "DESIGN",
  },
  {
    id: "spawn.output_limit",
    behaviour:
      "A child that prints more than max_output_bytes is killed and the call fails with output_limit and what was parsed",
    source: "issue 2",
  },
  {
    id: "spawn.output_limit.stderr",
    behaviour: "A flood on standard error is bounded as one on standard output",
    source: "issue 2",
  },
  {
    id: "spawn.deadline",
    behaviour:
      "A child past its deadline is ended and the call fails with timeout",
    source: "issue 2",
  },
  {
    id: "spawn.stubborn_child_killed",
    behaviour: "A child that ignores TERM, INT and HUP is killed",
    source: "issue 2",
  },
  {
    id: "spawn.no_zombie",
    behaviour:
      "The child is gone after its call and no zombie is left; processes that it detached are for the sandbox",
    source: "issue 2",
  },
  {
    id: "spawn.flood_bounded_memory",
    behaviour: "Memory stays bounded while a child floods",
    source: "issue 2",
  },
  {
    id: "spawn.held_pipe",
    behaviour:
      "A descendant that keeps the pipe open does not keep the call open",
    source: "issue 2",
  },
  {
    id: "argv.forgery_refused",
    behaviour:
      "Only Argv.build makes what spawn takes; every look-alike is refused",
    source: "DESIGN",
  },
  {
    id: "argv.no_leading_dash",
    behaviour: "No value of a user begins with a dash in a command line",
    source: "DESIGN",
  },
  {
    id: "argv.golden",
    behaviour: "The command line of each request is pinned byte for byte",
    source: "issue 2",
  },

  // Requests
  {
    id: "request.sizes_capped",
    behaviour:
      "Input is refused for size, then for depth, before anything parses it",
    source: "DESIGN",
  },
  {
    id: "request.unknown_field_refused",
    behaviour: "An unknown field of a request is refused by name",
    source: "DESIGN",
  },
  {
    id: "extra_args.allowlist",
    behaviour:
      "A token of extra_args that is no allowed flag nor the value of one is refused",
    source: "DESIGN",
  },
  {
    id: "extra_args.tokenizer",
    behaviour:
      "extra_args is split without a shell; text with a shell's characters stays one value or is refused",
    source: "DESIGN",
  },
  {
    id: "extra_args.folded",
    behaviour:
      "A flag of extra_args is folded into the typed field it stands for",
    source: "DESIGN",
  },
  {
    id: "injection.refused",
    behaviour:
      "Every entry of the injection table is refused with its code in every string field",
    source: "issue 2",
  },
  {
    id: "injection.nothing_spawned",
    behaviour: "A refused request starts no process",
    source: "issue 2",
  },
  {
    id: "nmap.injection.refused",
    behaviour:
      "nmap is never started with a file flag, a script path or a bundled option of a user",
    source: "issue 2",
  },
  {
    id: "rules.allow_and_deny",
    behaviour:
      "Each guardrail has a fixture that it allows and one that it refuses",
    source: "issue 2",
  },
  {
    id: "ports.grammar",
    behaviour:
      "Ports are digits, commas, ranges from 1 to 65535 and T: or U: prefixes, counted against a limit",
    source: "issue 2",
  },

  // Scope
  {
    id: "scope.default_private",
    behaviour:
      "Without configuration only loopback and private addresses may be scanned",
    source: "DESIGN",
  },
  {
    id: "scope.allowed_and_denied_subnets",
    behaviour:
      "allowed_subnets widens the scope and denied_subnets beats everything",
    source: "DESIGN",
  },
  {
    id: "scope.strict_addresses",
    behaviour:
      "0x7f.1, 010.0.0.1, ::ffff:8.8.8.8 and the like are refused, never read as something else",
    source: "issue 2",
  },
  {
    id: "scope.network_size",
    behaviour:
      "A network over max_network_size is refused with the largest prefix allowed and an example",
    source: "issue 2",
  },
  {
    id: "scope.ipv6",
    behaviour: "IPv6 addresses, networks and names follow the same rules",
    source: "issue 2",
  },
  {
    id: "scope.names.suffix",
    behaviour: "A host name outside of allowed_host_suffixes is refused",
    source: "DESIGN",
  },
  {
    id: "scope.names.every_address",
    behaviour:
      "A host name is refused when any address that it resolves to is not allowed",
    source: "DESIGN",
  },
  {
    id: "scope.names.pinned",
    behaviour: "The resolved address is what gets scanned, not the name",
    source: "issue 2",
  },
  {
    id: "scope.forgery_refused",
    behaviour: "Only the scope makes a Target; every look-alike is refused",
    source: "DESIGN",
  },

  // nmap
  {
    id: "nmap.defaults",
    behaviour:
      "Left out options of nmap become the restrained defaults of the configuration",
    source: "DESIGN",
  },
  {
    id: "nmap.paces",
    behaviour:
      "A pace is used only where the configuration allows it and changes the command line as written",
    source: "DESIGN",
  },
  {
    id: "nmap.scripts.allowlist",
    behaviour:
      "Scripts outside of the categories and names allowed are refused; a path is always refused",
    source: "DESIGN",
  },
  {
    id: "nmap.intrusive_gate",
    behaviour:
      "-A, -O, vuln, timing 5 and script arguments are refused with intrusive_not_allowed unless the configuration allows them",
    source: "DESIGN",
  },
  {
    id: "nmap.raw_honest",
    behaviour:
      "A scan that needs raw sockets is refused with the remedy where the host lacks them, and never downgraded",
    source: "issue 2",
  },
  {
    id: "nmap.scan_type_reported",
    behaviour: "The result says which scan_type was used",
    source: "issue 2",
  },
  {
    id: "nmap.report.complete",
    behaviour:
      "nmap's hosts, ports, services, OS matches, scripts, traceroute and statistics are in the report",
    source: "issue 2",
  },
  {
    id: "nmap.report.partial",
    behaviour:
      "A killed nmap keeps the hosts seen so far and the report is marked partial",
    source: "issue 2",
  },
  {
    id: "nmap.report.hostile_xml",
    behaviour:
      "Hostile XML ends in a report or a code, with bounded memory, never in anything else",
    source: "issue 2",
  },
  {
    id: "nmap.real",
    behaviour: "The real nmap scans loopback through the whole server",
    source: "issue 2",
  },

  // masscan
  {
    id: "masscan.rate_cap",
    behaviour: "A masscan rate over the cap is refused",
    source: "DESIGN",
  },
  {
    id: "masscan.always_ends",
    behaviour: "masscan ends although it hangs on an idle interface",
    source: "issue 2",
  },
  {
    id: "masscan.loses_nothing",
    behaviour:
      "Everything that masscan printed is in the report however it ended",
    source: "issue 2",
  },
  {
    id: "masscan.leaves_no_file",
    behaviour: "masscan leaves no paused.conf and no other file behind",
    source: "issue 2",
  },
  {
    id: "masscan.passes_merged",
    behaviour:
      "masscan runs its passes with different seeds, merges them and says that absence is no proof",
    source: "issue 2",
  },
  {
    id: "masscan.unusable_says_so",
    behaviour:
      "masscan on loopback or without raw sockets is refused with what to use instead",
    source: "issue 2",
  },
  {
    id: "masscan.real",
    behaviour: "The real masscan finds the lab's inventory through the server",
    source: "issue 2",
  },

  // gobuster
  {
    id: "gobuster.wordlist_by_name",
    behaviour:
      "A wordlist is a name of the catalogue; a path, .. and a symlink out of it are refused",
    source: "issue 2",
  },
  {
    id: "gobuster.threads_cap",
    behaviour: "Threads over the cap are refused",
    source: "issue 2",
  },
  {
    id: "gobuster.url_rules",
    behaviour: "The host of a URL follows the same target rules",
    source: "issue 2",
  },
  {
    id: "gobuster.no_redirects",
    behaviour: "gobuster is never told to follow redirects",
    source: "DESIGN",
  },
  {
    id: "gobuster.report",
    behaviour:
      "gobuster's paths, names and vhosts are typed in the report, without escape sequences",
    source: "issue 2",
  },
  {
    id: "gobuster.real",
    behaviour:
      "The real gobuster works in its modes dir, dns and vhost through the server",
    source: "issue 2",
  },

  // Plan, untrusted text, joining, progress
  {
    id: "plan.spawns_nothing",
    behaviour:
      "plan answers with argv, addresses, estimates and every verdict by name and starts no process",
    source: "issue 2",
  },
  {
    id: "plan.equals_scan",
    behaviour: "The argv of a plan is the argv of the scan that follows",
    source: "issue 2",
  },
  {
    id: "untrusted.cleaned",
    behaviour:
      "Text of a scanned host is length-capped and free of control, bidirectional, zero-width and tag characters",
    source: "issue 2",
  },
  {
    id: "untrusted.fields",
    behaviour:
      "Text of a scanned host stands below keys that say untrusted and nowhere else",
    source: "issue 2",
  },
  {
    id: "untrusted.flagged",
    behaviour: "Text that looks like an instruction to a model is flagged",
    source: "issue 2",
  },
  {
    id: "dispatch.joins_identical",
    behaviour:
      "An identical call joins one that still runs instead of scanning twice",
    source: "issue 2",
  },
  {
    id: "progress.live",
    behaviour:
      "Progress of a running scan reaches an MCP client as notifications, rising",
    source: "issue 2",
  },
  {
    id: "cancel.within_a_second",
    behaviour: "An MCP cancellation ends the child within a second",
    source: "issue 2",
  },

  // Dispatch, permits, breaker
  {
    id: "dispatch.order",
    behaviour: "The checks of a call happen in the order of the design",
    source: "DESIGN",
  },
  {
    id: "dispatch.result_shape",
    behaviour:
      "A result holds scan_id, tool, target, status, times, argv, summary, report and trace_id",
    source: "DESIGN",
  },
  {
    id: "permits.bounded_queue",
    behaviour:
      "A full queue refuses with queue_full; the global and each tool's concurrency hold",
    source: "issue 2",
  },
  {
    id: "permits.fair_and_abortable",
    behaviour:
      "Waiters are served in order, an aborted one leaves at once, a permit releases once",
    source: "issue 2",
  },
  {
    id: "permits.model",
    behaviour: "Permits match a model under a scheduler of races",
    source: "issue 2",
  },
  {
    id: "breaker.counts_faults_only",
    behaviour:
      "Spawn failure, crash, timeout and unusable output count; refusals and cancellation never do",
    source: "DESIGN",
  },
  {
    id: "breaker.one_probe",
    behaviour:
      "Half-open admits one probe and refuses the others with circuit_open and retry_after",
    source: "issue 2",
  },
  {
    id: "breaker.backoff",
    behaviour: "Each reopening waits longer, with jitter, up to a maximum",
    source: "issue 2",
  },
  {
    id: "breaker.forced",
    behaviour: "force_open and force_close hold and can be undone",
    source: "issue 2",
  },
  {
    id: "breaker.stale_generation",
    behaviour:
      "An outcome counts only against the state that its call started under",
    source: "DESIGN",
  },
  {
    id: "breaker.model",
    behaviour: "The breaker matches a model under a scheduler of races",
    source: "issue 2",
  },
  {
    id: "breaker.survives_restart",
    behaviour: "The breaker's state survives a reload and a restart",
    source: "issue 2",
  },

  // Health, metrics
  {
    id: "health.priorities",
    behaviour:
      "Overall health follows the priority rules: critical, important, informational",
    source: "issue 2",
  },
  {
    id: "health.checks",
    behaviour:
      "Health looks at resources, tools, isolates, breakers, the process and dependencies",
    source: "issue 2",
  },
  {
    id: "health.timeouts",
    behaviour:
      "A check that hangs is cut off by its own and by the overall timeout",
    source: "issue 2",
  },
  {
    id: "health.history",
    behaviour: "The monitoring loop keeps a bounded history",
    source: "issue 2",
  },
  {
    id: "metrics.names",
    behaviour: "Metric names and labels are the written ones",
    source: "issue 2",
  },
  {
    id: "metrics.counted_once",
    behaviour: "No execution is counted twice or not at all",
    source: "issue 2",
  },
  {
    id: "metrics.bounded_cardinality",
    behaviour: "No input of a client becomes a label",
    source: "issue 2",
  },
  {
    id: "metrics.statistics",
    behaviour:
      "Each tool has count, success, failure, timeout, min, max, mean, p50, p95, p99 and recent failure rate",
    source: "issue 2",
  },

  // Config
  {
    id: "config.precedence",
    behaviour: "Environment beats file beats default, merged by section",
    source: "issue 2",
  },
  {
    id: "config.clamps",
    behaviour:
      "A number out of range is clamped with a warning that names both values",
    source: "issue 2",
  },
  {
    id: "config.refusals_located",
    behaviour:
      "Wrong types and unknown keys are refused with file, line and column",
    source: "issue 2",
  },
  {
    id: "config.reload_whole_or_not",
    behaviour:
      "A reload applies as a whole or not at all; the old one is kept with a warning",
    source: "issue 2",
  },
  {
    id: "config.reload_in_flight",
    behaviour: "Scans in flight keep the rules that they started under",
    source: "issue 2",
  },
  {
    id: "config.redaction",
    behaviour:
      "config print shows no secret, however deep, and says where each value came from",
    source: "issue 2",
  },
  {
    id: "config.examples_load",
    behaviour: "Every file in config/ loads without a warning",
    source: "DESIGN",
  },

  // MCP
  {
    id: "mcp.tools.schemas",
    behaviour:
      "Every tool has title, description, annotations, input and output schema, and its results validate",
    source: "issue 2",
  },
  {
    id: "mcp.tools.list_size",
    behaviour: "tools/list as a whole stays under 24 KB of JSON",
    source: "issue 2",
  },
  {
    id: "mcp.results.budget",
    behaviour:
      "A result stays under its token budget, summary first, with the way to the rest",
    source: "issue 2",
  },
  {
    id: "mcp.results.question_of_256",
    behaviour:
      "Which of 256 hosts have 443 open is answered in at most 2,000 tokens",
    source: "issue 2",
  },
  {
    id: "mcp.results.paging",
    behaviour:
      "scan_results pages and filters; the pages together are the whole",
    source: "issue 2",
  },
  {
    id: "mcp.background",
    behaviour:
      "background returns a scan_id at once and the scan can be followed, read and cancelled",
    source: "issue 2",
  },
  {
    id: "mcp.resources",
    behaviour:
      "scan://{id}, scan://{id}/raw and policy://guardrails can be read",
    source: "issue 2",
  },
  {
    id: "mcp.prompts",
    behaviour: "The prompts for common jobs are listed and render",
    source: "issue 2",
  },
  {
    id: "mcp.completions",
    behaviour: "Wordlists and script names are completed",
    source: "issue 2",
  },
  {
    id: "mcp.versions",
    behaviour:
      "Clients of 2025-06-18, 2025-11-25 and 2026-07-28 all work over stdio",
    source: "issue 2",
  },
  {
    id: "mcp.errors.pinned",
    behaviour: "Each error code has one MCP result, pinned by literals",
    source: "DESIGN",
  },
  {
    id: "http.errors.pinned",
    behaviour: "Each error code has one HTTP status, pinned by literals",
    source: "DESIGN",
  },
  {
    id: "error.no_leak",
    behaviour:
      "No message of an error holds a path, a tool's stderr or the environment",
    source: "DESIGN",
  },

  // Lab
  {
    id: "lab.up_and_down",
    behaviour:
      "deno task lab up makes the network, down removes all of it, status tells",
    source: "issue 2",
  },
  {
    id: "lab.no_way_out",
    behaviour: "No packet leaves the lab for a real network",
    source: "issue 2",
  },
  {
    id: "lab.inventory",
    behaviour: "The lab serves exactly the inventory that is checked in",
    source: "issue 2",
  },

  // Proof
  {
    id: "tidy.layers",
    behaviour: "Imports point one way, in the order of the design",
    source: "DESIGN",
  },
  {
    id: "tidy.house_rules",
    behaviour:
      "The house rules hold: no barrel, no ambient authority outside of main, functions fit a screen",
    source: "DESIGN",
  },
  {
    id: "tidy.no_allow_all",
    behaviour: "No file of the repository grants everything to anything",
    source: "DESIGN",
  },
  {
    id: "stress.200_calls",
    behaviour:
      "200 concurrent calls against hostile programs leak no process, isolate or memory",
    source: "issue 2",
  },
  {
    id: "selftest.runs",
    behaviour:
      "deno task selftest runs the hostile corpus against a configuration and shows expected and seen",
    source: "issue 2",
  },
  {
    id: "bench.harness",
    behaviour:
      "deno task bench measures in pairs, in one run, and prints ratios with their goals",
    source: "issue 2",
  },
  {
    id: "ci.run",
    behaviour: ".ci/run runs the test command of the README",
    source: "issue 2",
  },
  // The child's sandbox
  {
    id: "sandbox.one_source",
    behaviour:
      "Each sandbox has one launcher source; the three tools are names of it",
    source: "issue 3",
  },
  {
    id: "sandbox.real_programs_refused",
    behaviour:
      "The permission to run names launchers; Deno itself refuses the real scanners",
    source: "issue 3",
  },
  {
    id: "sandbox.choice_by_trial",
    behaviour:
      "sandbox/start chooses the strongest sandbox that works on this host by a real trial",
    source: "issue 3",
  },
  {
    id: "sandbox.choice_is_told",
    behaviour:
      "The choice and its reason stand in the start-up log, doctor, health and policy://guardrails; none is degraded",
    source: "issue 3",
  },
  {
    id: "sandbox.required",
    behaviour:
      "A server starts with no other sandbox than the configuration names, and with none at all not where one is required",
    source: "issue 3",
  },
  {
    id: "sandbox.root_keeps_raw_only",
    behaviour:
      "As root a scanner runs as a user of its own and keeps at most CAP_NET_RAW, and that only for raw scans",
    source: "issue 3",
  },
  {
    id: "sandbox.ordinary_user",
    behaviour:
      "An ordinary user's scanner runs in a user namespace and makes connect scans",
    source: "issue 3",
  },
  {
    id: "sandbox.limits",
    behaviour:
      "Each tool has limits of its own for processor time, address space, file size, processes, open files, wall time and output; they reach the scanner",
    source: "issue 3",
  },
  {
    id: "sandbox.limit_is_told",
    behaviour: "A scan that reached a limit says which one and what raises it",
    source: "issue 3",
  },
  {
    id: "sandbox.launcher_takes_numbers",
    behaviour:
      "A launcher that is given anything but numbers as its limits starts nothing",
    source: "issue 3",
  },
  {
    id: "sandbox.seccomp.generated",
    behaviour: "The seccomp filter is what its program generates",
    source: "issue 3",
  },
  {
    id: "sandbox.seccomp.allowlist",
    behaviour:
      "The seccomp filter allows what scans need, refuses the rest and kills the dangerous, on x86_64 and aarch64",
    source: "issue 3",
  },
  {
    id: "sandbox.doctor",
    behaviour:
      "doctor --sandbox makes the attempts and prints what held; each gets through where nothing holds it",
    source: "issue 3",
  },
  {
    id: "escape.shell",
    behaviour: "A planted script runs no shell",
    source: "issue 3",
  },
  {
    id: "escape.read",
    behaviour: "A planted script reads neither /etc/shadow nor a home",
    source: "issue 3",
  },
  {
    id: "escape.write",
    behaviour: "A planted script writes nowhere but into its own small /tmp",
    source: "issue 3",
  },
  {
    id: "escape.processes",
    behaviour: "A planted script sees no process of the host",
    source: "issue 3",
  },
  {
    id: "escape.fork_bomb",
    behaviour:
      "A scanner starts no further process, and threads up to its limit only",
    source: "issue 3",
  },
  {
    id: "escape.memory",
    behaviour: "A scanner allocates no more than its limit",
    source: "issue 3",
  },
  {
    id: "escape.disk",
    behaviour: "A scanner fills no disk",
    source: "issue 3",
  },
  {
    id: "escape.open_files",
    behaviour: "A scanner opens no more files than its limit",
    source: "issue 3",
  },
  {
    id: "escape.ptrace",
    behaviour: "A scanner traces neither the server nor anything else",
    source: "issue 3",
  },
  {
    id: "escape.own_port",
    behaviour:
      "A scanner in the egress guard reaches no port of the server's host",
    source: "issue 3",
  },
  {
    id: "escape.unix_socket",
    behaviour:
      "A scanner connects to no unix socket of the host, by path or by abstract name",
    source: "issue 3",
  },
  {
    id: "escape.setuid",
    behaviour: "A setuid program gives a scanner no rights",
    source: "issue 3",
  },
  {
    id: "escape.outlives_kill",
    behaviour:
      "Nothing that a scanner started outlives a cancellation, or a server killed with SIGKILL, by more than a second",
    source: "issue 3",
  },
  {
    id: "egress.addresses",
    behaviour:
      "No packet of a scanner leaves the guard for an address that the configuration does not allow: TCP, UDP, ICMP, raw IP or raw frame",
    source: "issue 3",
  },
  {
    id: "egress.follows_config",
    behaviour:
      "The guard's rules follow the configuration; a broken one changes nothing",
    source: "issue 3",
  },
  {
    id: "egress.clean",
    behaviour:
      "The guard goes without a trace and comes up whole or not at all",
    source: "issue 3",
  },
  {
    id: "egress.counters",
    behaviour: "The guard's counters are metrics where they can be read",
    source: "issue 3",
  },
  // The record of what was done
  {
    id: "audit.every_call",
    behaviour:
      "Every request and decision is recorded: who, from where, what, allowed or refused and by which rule, the scan, the trace and the configuration",
    source: "issue 4",
  },
  {
    id: "audit.fail_closed",
    behaviour:
      "What cannot be recorded does not happen: no scan starts, and health is unhealthy",
    source: "issue 4",
  },
  {
    id: "audit.flushed_before_ack",
    behaviour:
      "An entry is on the disk before the scan that it speaks of starts",
    source: "issue 4",
  },
  {
    id: "audit.crash_loses_nothing",
    behaviour:
      "A server that is killed loses no entry that was acknowledged and doubles none",
    source: "issue 4",
  },
  {
    id: "audit.edit_named",
    behaviour:
      "audit verify names the first line that was changed, removed, inserted, doubled or moved",
    source: "issue 4",
  },
  {
    id: "audit.truncation_found",
    behaviour: "audit verify finds that the end of the log was cut",
    source: "issue 4",
  },
  {
    id: "audit.no_secret",
    behaviour: "No secret gets into the audit log",
    source: "issue 4",
  },
  {
    id: "audit.export",
    behaviour: "The audit log is exported as JSON Lines and as CEF",
    source: "issue 4",
  },
  {
    id: "audit.reads",
    behaviour: "Who looked at which results is recorded too",
    source: "issue 4",
  },
  {
    id: "scans.recorded_first",
    behaviour:
      "A scan is in the store before it starts, and what is not taken there does not start",
    source: "issue 4",
  },
  {
    id: "scans.findings_kept",
    behaviour: "What a scan has found is kept while it still runs",
    source: "issue 4",
  },
  {
    id: "scans.end_not_lost",
    behaviour:
      "A result that the store does not take at once is kept and offered until it does",
    source: "issue 4",
  },
  {
    id: "scans.resumed",
    behaviour:
      "A scan that was queued when its server died runs in the next one, by the rules of then",
    source: "issue 4",
  },
  {
    id: "scans.idempotency",
    behaviour:
      "One idempotency key makes one scan; with another request it is a conflict",
    source: "issue 4",
  },
  {
    id: "scans.engagement",
    behaviour: "A scan carries an engagement and tags",
    source: "issue 4",
  },
  {
    id: "scans.engagement_scope",
    behaviour: "An engagement or a tag can bind scans to subnets",
    source: "issue 4",
  },
  {
    id: "cache.marked",
    behaviour:
      "Within cache.ttl_seconds an identical request may be answered by an earlier scan, marked with its age; no_cache scans",
    source: "issue 4",
  },
  {
    id: "cache.judged_anew",
    behaviour: "An earlier scan answers no request that is refused now",
    source: "issue 4",
  },
  {
    id: "store.kills",
    behaviour:
      "A process that is killed before any statement of a clearing or a removal leaves counts that are those of the rows",
    source: "issue 5",
  },
  {
    id: "store.both_databases",
    behaviour:
      "SQLite and PostgreSQL pass one suite: records, findings, inventory, search, retention, migrations, many writers, kills",
    source: "issue 4",
  },
  {
    id: "diff.scans",
    behaviour:
      "scan_diff says what appeared, vanished and changed between two scans that cover the same",
    source: "issue 4",
  },
  {
    id: "mcp.inventory",
    behaviour:
      "inventory lists hosts and services over all scans and searches what services said, within the token budget, with when and by which scan",
    source: "issue 4",
  },
  {
    id: "mcp.inventory.hostile",
    behaviour:
      "Wrong cursors, subnets, times and huge queries of inventory are refused with the way out",
    source: "issue 4",
  },
  {
    id: "mcp.reports",
    behaviour:
      "Every report format is a resource with its type, bounded and loaded at first use",
    source: "issue 4",
  },
  {
    id: "mcp.engagements",
    behaviour:
      "scan_list narrows by engagement and tags and shows them bounded",
    source: "issue 4",
  },
  {
    id: "diff.last_time",
    behaviour: "The last time is found without reading the history in full",
    source: "issue 4",
  },
  {
    id: "scans.crash",
    behaviour:
      "A hundred kills lose no scan and double none, and store and record stay sound",
    source: "issue 4",
  },
  {
    id: "scans.resume",
    behaviour:
      "Scans of a dead server end as interrupted or, if so configured, run again under their own id",
    source: "issue 4",
  },
  {
    id: "scans.shutdown",
    behaviour:
      "SIGTERM gives the scans the grace, cancels the others, and leaves no child",
    source: "issue 4",
  },
  {
    id: "scans.shared_folder",
    behaviour: "Several servers may share a state folder",
    source: "issue 4",
  },
  {
    id: "scans.labels_last",
    behaviour:
      "Engagement and tags stay with a scan over restarts and cut every list",
    source: "issue 4",
  },
  {
    id: "scans.client_name",
    behaviour: "A strange client's name refuses no scan",
    source: "issue 4",
  },
  {
    id: "cache.over_servers",
    behaviour:
      "An answer out of the store says so with its age, and no_cache scans",
    source: "issue 4",
  },
  {
    id: "store.full_disk",
    behaviour:
      "A full disk starts no scan, is told by health, and leaves a sound store",
    source: "issue 4",
  },
  {
    id: "secrets.canary",
    behaviour:
      "No secret reaches store, audit, log, reports or the answers to others",
    source: "issue 4",
  },
  {
    id: "history.commands",
    behaviour: "A person lists, compares and searches the scans that are kept",
    source: "issue 4",
  },
  {
    id: "history.rights",
    behaviour:
      "The commands of the history can neither spawn nor reach a network nor see the environment",
    source: "issue 4",
  },
  {
    id: "report.formats",
    behaviour:
      "A scan, a difference and an engagement are reported in every format",
    source: "issue 4",
  },
  {
    id: "report.whole_file",
    behaviour:
      "A report is written as a whole or not at all, below reports only, and recorded first",
    source: "issue 4",
  },
  {
    id: "report.offline",
    behaviour:
      "A report in HTML runs nothing and fetches nothing, even broken open, and prints",
    source: "issue 4",
  },
  {
    id: "import.files",
    behaviour:
      "XML of nmap and JSON of masscan come into the history once, with their own times and marked",
    source: "issue 4",
  },
  {
    id: "import.hostile",
    behaviour: "A hostile or foreign file is refused and nothing of it is kept",
    source: "issue 4",
  },
  {
    id: "import.recorded",
    behaviour: "An import is recorded before it happens",
    source: "issue 4",
  },
  {
    id: "store.check",
    behaviour:
      "A spoiled database is refused with what is wrong and the way out",
    source: "issue 4",
  },
  {
    id: "store.prune",
    behaviour:
      "Retention says what would go, keeps tags, gives room back and is recorded",
    source: "issue 4",
  },
  {
    id: "store.only_looks",
    behaviour: "Who only looks makes no database and brings none up to date",
    source: "issue 4",
  },
  {
    id: "diff.ndiff",
    behaviour: "A difference tells the same as ndiff on the same files",
    source: "issue 4",
  },
  {
    id: "inventory.gone",
    behaviour:
      "A service that a later scan proves closed is open no longer, even where the scan only counts it",
    source: "issue 4",
  },
  {
    id: "store.fence",
    behaviour:
      "A process that was taken for dead writes nothing over what another made of its scans",
    source: "issue 4",
  },
  {
    id: "store.retention_plan",
    behaviour: "Retention removes what was recorded and nothing else",
    source: "issue 4",
  },
  {
    id: "store.plain_file",
    behaviour: "The database is a plain file or is refused",
    source: "issue 4",
  },
  {
    id: "isolate.reports.strict",
    behaviour:
      "Main takes a report only if each field keeps its type and bound and there is no other",
    source: "issue 4",
  },
  {
    id: "isolate.reports.own_targets",
    behaviour:
      "A host that nobody asked for ends the scan as a fault and reaches no store",
    source: "issue 4",
  },
  {
    id: "isolate.found.bounded",
    behaviour: "Findings come in bounded messages at a bounded pace",
    source: "issue 4",
  },
  {
    id: "isolate.lookup.asked_only",
    behaviour: "A look-up answers only for the names that were asked",
    source: "issue 4",
  },
  {
    id: "audit.cut_is_provable",
    behaviour:
      "What is cut carries the digest of the whole, and lists of 64 stay whole",
    source: "issue 4",
  },
  {
    id: "report.markdown_inert",
    behaviour:
      "Nothing from outside is markup, a link or a cell in a report in Markdown",
    source: "issue 4",
  },
  {
    id: "mcp.client_name_clean",
    behaviour: "A client's name is kept bounded, visible and without secrets",
    source: "issue 4",
  },
  {
    id: "gobuster.url_no_credentials",
    behaviour: "A refused URL tells nothing of its credentials",
    source: "issue 4",
  },
  {
    id: "bench.store_arithmetic",
    behaviour: "The store benchmark's percentiles and stalls are what they say",
    source: "issue 4",
  },
  {
    id: "audit.deletion_whole",
    behaviour: "Every scan that retention removes is named in the audit log",
    source: "issue 4",
  },
  // Identity
  {
    id: "identity.key_form",
    behaviour:
      "A key is known by its form, and a typo is told without a look-up",
    source: "issue 5",
  },
  {
    id: "identity.key_stored",
    behaviour:
      "Of an API key only an HMAC is kept, and its secret is shown once",
    source: "issue 5",
  },
  {
    id: "identity.key_same_answer",
    behaviour: "Keys that do not hold get one answer for the same work",
    source: "issue 5",
  },
  {
    id: "identity.key_revoked",
    behaviour: "A revoked key holds for no call of that process from then on",
    source: "issue 5",
  },
  {
    id: "identity.key_rotation",
    behaviour: "A rotated key's old secret holds for the overlap and no longer",
    source: "issue 5",
  },
  {
    id: "identity.key_last_used",
    behaviour:
      "The last use of a key is written at most once a minute and never in the way of a call",
    source: "issue 5",
  },
  {
    id: "identity.key_tenant",
    behaviour:
      "An admin touches the keys of its own tenant only, the house's those of all",
    source: "issue 5",
  },
  {
    id: "identity.identity_key",
    behaviour:
      "The identity key is made once, for its owner only, and never over keys that need an older one",
    source: "issue 5",
  },
  {
    id: "identity.token_attacks",
    behaviour:
      "Tokens with alg none, a confused key, a forged kid, jku, x5u, jwk, crit or a wrong typ are refused",
    source: "issue 5",
  },
  {
    id: "identity.token_claims",
    behaviour:
      "Issuer, audience, times, tenant and roles of a token have to hold",
    source: "issue 5",
  },
  {
    id: "identity.jwks",
    behaviour:
      "The issuer's keys are cached, rotated, bounded and outlive its outage",
    source: "issue 5",
  },
  {
    id: "identity.bearer",
    behaviour:
      "Credentials are taken from one Authorization header and nowhere else, and no message repeats them",
    source: "issue 5",
  },
  {
    id: "identity.failures",
    behaviour: "Whoever guesses keys from one address is slowed down",
    source: "issue 5",
  },
  {
    id: "identity.authorize",
    behaviour: "Each operation needs the roles, scopes and tenant of one table",
    source: "issue 5",
  },
  {
    id: "identity.leases",
    behaviour:
      "Event streams and WebSockets end when their key is revoked or over, or their token has expired",
    source: "issue 5",
  },
  // The HTTP server
  {
    id: "http.net_from_config",
    behaviour:
      "serve-http may use the network for its own address and the hosts of its configuration only",
    source: "issue 5",
  },
  {
    id: "http.no_open_door",
    behaviour: "The server does not listen beyond loopback without credentials",
    source: "issue 5",
  },
  {
    id: "http.host",
    behaviour: "The server answers to its own names only",
    source: "issue 5",
  },
  {
    id: "http.origin",
    behaviour: "Foreign pages are refused, and CORS is closed by default",
    source: "issue 5",
  },
  {
    id: "http.proxies",
    behaviour: "Forwarded headers count from named proxies only",
    source: "issue 5",
  },
  {
    id: "http.body",
    behaviour: "A body is bounded in bytes, time and depth before it is parsed",
    source: "issue 5",
  },
  {
    id: "http.body.budget",
    behaviour:
      "All bodies together are bounded as they arrive, with room left for whoever comes next",
    source: "issue 5",
  },
  {
    id: "http.body.form",
    behaviour: "A packed body and one in another charset are refused with 415",
    source: "issue 5",
  },
  {
    id: "http.origin.clients",
    behaviour:
      "A page that is allowed may send what MCP's clients send, by the methods that there are",
    source: "issue 5",
  },
  {
    id: "http.socket.parting",
    behaviour: "A client that still sends learns why its socket is closed",
    source: "issue 5",
  },
  {
    id: "http.raw.tag",
    behaviour:
      "Raw output of a scan that is over has a strong ETag by which a download goes on",
    source: "issue 5",
  },
  {
    id: "http.problems",
    behaviour: "Failures are problem details and nothing internal leaves",
    source: "issue 5",
  },
  {
    id: "http.challenge",
    behaviour: "401 and 403 lead to the protected resource's metadata",
    source: "issue 5",
  },
  {
    id: "http.open",
    behaviour:
      "Nothing but health, metadata and, if so configured, metrics answers without credentials",
    source: "issue 5",
  },
  {
    id: "http.entity",
    behaviour: "Reads have an ETag, 304 and gzip",
    source: "issue 5",
  },
  {
    id: "http.methods",
    behaviour: "405 names the methods that a path has; HEAD and OPTIONS work",
    source: "issue 5",
  },
  {
    id: "http.trace",
    behaviour: "Every answer has a request id, and traces go on",
    source: "issue 5",
  },
  {
    id: "http.document",
    behaviour:
      "The docs page is made of the document, offline and without scripts",
    source: "issue 5",
  },
  {
    id: "http.listener",
    behaviour: "The listener survives floods, is bounded and ends in order",
    source: "issue 5",
  },
  {
    id: "http.limits",
    behaviour: "One client's flood gets 429 with RateLimit fields",
    source: "issue 5",
  },
  {
    id: "http.quotas",
    behaviour:
      "Quotas of a tenant hold over HTTP and are given back for what is refused",
    source: "issue 5",
  },
  {
    id: "http.operators",
    behaviour:
      "Tools, breakers, configuration and policies are changed by the house's admins alone, and recorded",
    source: "issue 5",
  },
  {
    id: "http.tls",
    behaviour: "TLS by certificate files works",
    source: "issue 5",
  },
  {
    id: "http.drain",
    behaviour: "A server that is told to stop ends streams and scans in order",
    source: "issue 5",
  },
  {
    id: "http.same_suite",
    behaviour:
      "The end-to-end suite holds over stdio and HTTP for clients of both generations",
    source: "issue 5",
  },
  // Routes of the API
  {
    id: "http.routes.pinned",
    behaviour: "Routes and statuses of the API are the written ones",
    source: "issue 5",
  },
  {
    id: "http.routes.garbage",
    behaviour: "No input makes a route fail",
    source: "issue 5",
  },
  {
    id: "http.openapi.golden",
    behaviour: "The OpenAPI document is kept byte for byte and is sound",
    source: "issue 5",
  },
  {
    id: "http.answers.schema",
    behaviour: "Every answer has exactly the form that its schema says",
    source: "issue 5",
  },
  {
    id: "http.query.strict",
    behaviour:
      "Unknown or wrong parameters are refused by name with a suggestion",
    source: "issue 5",
  },
  {
    id: "http.execute.failed_scan",
    behaviour:
      "A scan that fails answers with its code's status and keeps what it found",
    source: "issue 5",
  },
  {
    id: "http.execute.disconnect",
    behaviour: "A client that goes ends its scan",
    source: "issue 5",
  },
  {
    id: "http.execute.idempotency",
    behaviour: "The Idempotency-Key header and the argument are one key",
    source: "issue 5",
  },
  {
    id: "http.scans.untrusted",
    behaviour: "What hosts sent stays under untrusted over HTTP",
    source: "issue 5",
  },
  {
    id: "http.scans.recorded",
    behaviour: "Looks at scans over HTTP are in the audit log",
    source: "issue 5",
  },
  {
    id: "http.raw.range",
    behaviour:
      "Raw output comes as the tool printed it, whole or a range of it",
    source: "issue 5",
  },
  {
    id: "http.keys.secret_once",
    behaviour: "A key's secret is in one answer that nothing stores",
    source: "issue 5",
  },
  // Live events
  {
    id: "events.order",
    behaviour:
      "No event is lost, doubled or out of order for a listener in time",
    source: "issue 5",
  },
  {
    id: "events.tenant",
    behaviour: "Live events tell nothing of another tenant, not even a count",
    source: "issue 5",
  },
  {
    id: "events.fair",
    behaviour: "A flood of one tenant evicts its own events",
    source: "issue 5",
  },
  {
    id: "events.reset",
    behaviour: "A gap in the events is announced",
    source: "issue 5",
  },
  {
    id: "events.slow",
    behaviour: "A slow consumer is dropped, never the server",
    source: "issue 5",
  },
  {
    id: "events.output.asked",
    behaviour:
      "The lines that a tool prints are told as they come, to those of its tenant who asked for them and to nobody else",
    source: "issue 5",
  },
  {
    id: "events.output.live",
    behaviour:
      "Lines of output are never kept: a replay has none, and its places are as if there were none",
    source: "issue 5",
  },
  {
    id: "events.output.bounded",
    behaviour:
      "Lines of output are bounded and cleaned on both sides of the boundary, what is left out is counted, and no listener is dropped because of them",
    source: "issue 5",
  },
  {
    id: "events.growth",
    behaviour: "10,000 event streams opened and closed leave nothing behind",
    source: "issue 5",
  },
  {
    id: "events.untrusted",
    behaviour: "Events hold no text of a host but below untrusted",
    source: "issue 5",
  },
  {
    id: "events.stream",
    behaviour: "An event stream has heartbeats, a clean end and no timer left",
    source: "issue 5",
  },
  {
    id: "events.socket",
    behaviour: "Messages, subscriptions and buffers of a WebSocket are bounded",
    source: "issue 5",
  },
  // Approvals
  {
    id: "approvals.second_person",
    behaviour:
      "Nobody decides a request of their own, nor of a key that they made",
    source: "issue 5",
  },
  {
    id: "approvals.once",
    behaviour:
      "A request is decided once and used once, also if the server dies in between",
    source: "issue 5",
  },
  {
    id: "mcp.scope_challenge",
    behaviour:
      "A call over HTTP that only lacks a scope is refused by 403 with the scope that it takes, and recorded",
    source: "issue 5",
  },
  {
    id: "http.reload_refused",
    behaviour:
      "A reload of files that cannot be used is answered by an error's status, with what is wrong",
    source: "issue 5",
  },
  {
    id: "error.guardrail",
    behaviour: "A refusal by a guardrail names it to the caller",
    source: "issue 5",
  },
  {
    id: "http.cursors",
    behaviour:
      "Every list, over HTTP and over MCP, refuses a cursor that it did not give",
    source: "issue 5",
  },
  {
    id: "policy.explained",
    behaviour:
      "Over HTTP as in the terminal: of each network of a request which policies apply and which decide",
    source: "issue 5",
  },
  {
    id: "approvals.expiry",
    behaviour: "What nobody decides in time is expired",
    source: "issue 5",
  },
  {
    id: "approvals.expiry_recorded",
    behaviour:
      "The audit log has each expiry once, whichever server or look ended the wait",
    source: "issue 5",
  },
  {
    id: "approvals.durable",
    behaviour:
      "A request, its approval and its queued scan outlive the server on both databases",
    source: "issue 5",
  },
  {
    id: "approvals.policies",
    behaviour:
      "An approval answers the policies that demanded it, as they were worded then, and no later one",
    source: "issue 5",
  },
  {
    id: "approvals.digest",
    behaviour: "An approval is for exactly the request that was asked",
    source: "issue 5",
  },
  {
    id: "approvals.model",
    behaviour: "Approvals live as their model says",
    source: "issue 5",
  },
  {
    id: "error.approval",
    behaviour: "The approval's id in an error is bounded and checked",
    source: "issue 5",
  },
  // Fair limits and quotas
  {
    id: "permits.fair_tenants",
    behaviour:
      "A place goes to the tenant that holds the fewest, and no tenant starves",
    source: "issue 5",
  },
  {
    id: "permits.fair_queue_bound",
    behaviour: "One tenant's 1,000 requests do not keep out another's one",
    source: "issue 5",
  },
  {
    id: "permits.tenant_limit",
    behaviour: "A tenant at its limit is passed over",
    source: "issue 5",
  },
  {
    id: "quotas.hour",
    behaviour: "No hour holds more than the quota",
    source: "issue 5",
  },
  {
    id: "quotas.reserve",
    behaviour:
      "A quota is taken whole or not at all, and given back without a scan",
    source: "issue 5",
  },
  {
    id: "quotas.cpu_seconds",
    behaviour:
      "The quota of processor time counts what a scan took on a processor, and not how long it waited",
    source: "issue 5",
  },
  {
    id: "spawn.cpu_seconds",
    behaviour:
      "The processor time of a scan is what the kernel counted, whatever the scanner says of it",
    source: "issue 5",
  },
  {
    id: "spawn.refusal_words",
    behaviour:
      "A scanner that claims that its launcher refused it puts no word of that into an error",
    source: "issue 5",
  },
  {
    id: "rates.both",
    behaviour: "A refused request counts against no limit",
    source: "issue 5",
  },
  {
    id: "rates.bounded",
    behaviour: "Clients cost bounded memory",
    source: "issue 5",
  },
  {
    id: "metrics.tenants",
    behaviour: "Places, waiters and quotas of each tenant are metrics",
    source: "issue 5",
  },
  // Policy
  {
    id: "policy.default_deny",
    behaviour: "What no policy permits is denied, and forbid wins",
    source: "issue 5",
  },
  {
    id: "policy.shipped",
    behaviour:
      "The shipped policies allow what the guardrails allow and nothing else",
    source: "issue 5",
  },
  {
    id: "policy.within",
    behaviour: "A larger request does not escape a forbidden network inside it",
    source: "issue 5",
  },
  {
    id: "policy.approval",
    behaviour: "An approval is asked only where nothing else is missing",
    source: "issue 5",
  },
  {
    id: "policy.fail_closed",
    behaviour: "A policy that fails allows nothing",
    source: "issue 5",
  },
  {
    id: "policy.strict_load",
    behaviour:
      "Everything that is wrong with policies is told at once, with file and line",
    source: "issue 5",
  },
  {
    id: "policy.bounds",
    behaviour:
      "Policies are bounded in size and nesting, and Cedar survives them",
    source: "issue 5",
  },
  {
    id: "policy.reload",
    behaviour: "Policies are taken as a whole or not at all",
    source: "issue 5",
  },
  {
    id: "policy.hostile_text",
    behaviour: "No text of a request changes its tenant or roles",
    source: "issue 5",
  },
  {
    id: "policy.cases",
    behaviour:
      "Tables of cases are parsed strictly and judged by the policies in force",
    source: "issue 5",
  },
  {
    id: "policy.examples",
    behaviour:
      "Freeze periods, windows, a second person, tenants and tags work as the examples say",
    source: "issue 5",
  },
  // MCP over HTTP
  {
    id: "mcp.http.revisions",
    behaviour: "Every revision of the protocol is served on one endpoint",
    source: "issue 5",
  },
  {
    id: "mcp.http.session_owner",
    behaviour: "A session of another subject or tenant is not found",
    source: "issue 5",
  },
  {
    id: "mcp.http.cancel",
    behaviour: "A cancellation over HTTP reaches the scan",
    source: "issue 5",
  },
  {
    id: "mcp.http.resume",
    behaviour: "A client resumes its stream and gets its answer once",
    source: "issue 5",
  },
  {
    id: "mcp.http.gone",
    behaviour: "A client that goes has its scans cancelled",
    source: "issue 5",
  },
  {
    id: "mcp.http.bounds",
    behaviour:
      "Sessions, exchanges, bodies, depth and events over HTTP are bounded",
    source: "issue 5",
  },
  {
    id: "mcp.tools.by_scope",
    behaviour: "Only tools that the credentials reach are listed",
    source: "issue 5",
  },
  {
    id: "mcp.tenant",
    behaviour:
      "No MCP path reaches a scan that the caller's engine does not give",
    source: "issue 5",
  },
  {
    id: "mcp.approval.elicit",
    behaviour:
      "The client's user is asked where policy lets them, and only a yes to this caller's question counts",
    source: "issue 5",
  },
  {
    id: "mcp.conformance",
    behaviour: "The official conformance suite passes",
    source: "issue 5",
  },
  // Tenants in the history
  {
    id: "store.tenants",
    behaviour:
      "Tenants with equal names see their own only, in lists, inventory, search, diff and retention",
    source: "issue 5",
  },
  {
    id: "store.tenant_required",
    behaviour: "Without a tenant nothing is listed or kept",
    source: "issue 5",
  },
  {
    id: "store.cursor_no_leak",
    behaviour: "A cursor tells nothing of other tenants",
    source: "issue 5",
  },
  {
    id: "store.upgrade_tenants",
    behaviour: "Older databases become the house's, whole",
    source: "issue 5",
  },
  {
    id: "store.keys",
    behaviour: "API keys are kept on both databases",
    source: "issue 5",
  },
  {
    id: "store.approvals",
    behaviour:
      "Requests for approval are kept on both databases and decided in one step",
    source: "issue 5",
  },
  {
    id: "history.tenant",
    behaviour: "The history commands show and take one tenant's",
    source: "issue 5",
  },
  // Dispatch, administration, audit
  {
    id: "dispatch.capabilities",
    behaviour:
      "What may be scanned is shown to whoever may see the tools, over MCP as over HTTP, and of networks only what concerns their tenant",
    source: "issue 5",
  },
  {
    id: "dispatch.gate",
    behaviour:
      "Policy stands behind the guardrails: it refuses, allows or asks, and the audit log names the policies",
    source: "issue 5",
  },
  {
    id: "dispatch.session",
    behaviour:
      "A caller's session gives that tenant's scans alone, and an unknown scan and another's look the same",
    source: "issue 5",
  },
  {
    id: "dispatch.quota",
    behaviour: "Refused, joined and cached calls cost no quota",
    source: "issue 5",
  },
  {
    id: "admin.tool_switch",
    behaviour: "A tool that an operator switched off stays off over a restart",
    source: "issue 5",
  },
  {
    id: "admin.records",
    behaviour: "What an operator does is recorded before it happens",
    source: "issue 5",
  },
  {
    id: "audit.no_counts",
    behaviour:
      "What a tenant reads of the audit log does not count the entries of others, its cursors included",
    source: "issue 5",
  },
  {
    id: "audit.page",
    behaviour:
      "The audit log's pages show a tenant its own entries, newest first",
    source: "issue 5",
  },
  // Deployment
  {
    id: "deploy.http_examples",
    behaviour: "The examples start the HTTP server with the flags of its task",
    source: "issue 5",
  },

  // Attacks on the whole HTTP server
  {
    id: "http.authorization.matrix",
    behaviour:
      "Everybody may do over HTTP and MCP what the golden table says, and a route without a row fails",
    source: "issue 5",
  },
  {
    id: "http.tenants.isolated",
    behaviour:
      "No route, MCP tool, MCP resource or live event shows a tenant anything of another",
    source: "issue 5",
  },
  {
    id: "http.tenants.not_shared",
    behaviour:
      "Identical requests of two tenants are two scans: never joined, cached or found by idempotency key across",
    source: "issue 5",
  },
  {
    id: "tenants.subnets.bound",
    behaviour: "A tenant's networks bind its scans, whatever the call says",
    source: "issue 5",
  },
  {
    id: "tenants.subnets.checked_twice",
    behaviour:
      "The tool's isolate refuses what a tenant may not scan, though main asks for it",
    source: "issue 5",
  },
  {
    id: "http.fuzz",
    behaviour:
      "Every route answers whatever it is sent as documented, never 500, and tells nothing of the server",
    source: "issue 5",
  },
  {
    id: "http.streams.leak",
    behaviour:
      "Streams that were opened and cut leave neither descriptors nor memory behind",
    source: "issue 5",
  },
  {
    id: "http.streams.revoked",
    behaviour:
      "Streams, sockets and MCP session streams end with the key that opened them",
    source: "issue 5",
  },
  {
    id: "http.streams.stop",
    behaviour: "A server that stops ends its streams and sockets",
    source: "issue 5",
  },
  {
    id: "http.streams.max",
    behaviour:
      "server.max_streams bounds event streams and sockets, each for itself",
    source: "issue 5",
  },
  {
    id: "identity.token.net",
    behaviour: "The server may reach its issuer and no other host",
    source: "issue 5",
  },
  {
    id: "identity.token.rotation",
    behaviour:
      "An issuer's keys rotate, and one that is down locks out nobody whose key is known",
    source: "issue 5",
  },
  {
    id: "http.abuse.request",
    behaviour:
      "Hosts, origins, upgrades and headers that are not for this server are refused",
    source: "issue 5",
  },
  {
    id: "http.abuse.path",
    behaviour: "Tricks with paths and method headers reach no other route",
    source: "issue 5",
  },
  {
    id: "http.abuse.smuggling",
    behaviour: "No second request is smuggled in",
    source: "issue 5",
  },
  {
    id: "http.abuse.body",
    behaviour:
      "Bodies are bounded in bytes, depth, time and form by the whole program",
    source: "issue 5",
  },
  {
    id: "http.abuse.bodies",
    behaviour:
      "Bodies that never end hold little memory, however many and in whatever pieces",
    source: "issue 5",
  },
  {
    id: "http.abuse.slow",
    behaviour: "Slow clients keep nobody waiting",
    source: "issue 5",
  },
  {
    id: "identity.guessing",
    behaviour: "Guessed keys end in 429 for their network only",
    source: "issue 5",
  },
  {
    id: "log.clean_texts",
    behaviour: "A remembered text never hides a secret",
    source: "issue 5",
  },
] as const satisfies readonly Requirement[];

/** The id of a promise. */
export type RequirementId = typeof REQUIREMENTS[number]["id"];

const IDS: ReadonlySet<string> = new Set(REQUIREMENTS.map(({ id }) => id));

/**
 * Says which promises the test around it proves. It does nothing at run time but refuse an id that
 * does not exist; the tidy test reads the citations from the text.
 *
 * @param ids The promises, as literals.
 * @throws {RangeError} If one is unknown.
 */
export function verifies(...ids: readonly RequirementId[]): void {
  for (const id of ids) {
    if (!IDS.has(id)) {
      throw new RangeError(
        `Cannot cite the requirement "${id}": it is not in tests/requirements.ts; add it there or mend the id`,
      );
    }
  }
}
