/**
 * Text that a scanned host chose: banners, titles, headers, script output, paths, reverse names.
 * A terminal, a log viewer and a language model will read it, and each of the three can be talked
 * to by such text. So it is cleaned before it enters a report, and flagged where it reads like an
 * instruction.
 *
 * Cleaning removes what has no visible form or moves the cursor, and keeps what is visible: a
 * report is evidence, so words stay as the host wrote them. The result is in NFC, so that the same
 * text compares equal between two scans; NFKC would rewrite what the host said and is used for the
 * heuristic's own look only.
 *
 * The flag is a heuristic. It has misses by nature (another language, a spelling with gaps) and is
 * no filter: the guarantee is that such text stays below `untrusted`, the flag is a help.
 *
 * @module
 */

/** Options of {@linkcode cleanText}. */
export interface CleanOptions {
  /** Most UTF-16 code units of the result, the mark of a cut included. */
  readonly lengthMax: number;
  /**
   * Whether line ends stay as `\n`, for script output.
   *
   * @default {false}
   */
  readonly keepLines?: boolean;
}

/** The mark of a cut. */
const CUT = "…";

/** How much longer than the result the text may be that is looked at: it bounds the work. */
const READ_FACTOR = 16;

/** Most combining marks on one letter: more is a tower that covers its neighbours. */
const MARKS_MAX = 4;

/** Most UTF-16 code units that the heuristic looks at. */
const LOOK_LENGTH_MAX = 16_384;

/** Nothing to do for the bulk of all banners. */
const PLAIN = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;

/**
 * Escape sequences as a whole: CSI; then strings (OSC, DCS, SOS, PM, APC) with their end; then the
 * short ones. A string without an end loses its introducer only, so that no host can hide the rest.
 * No alternative can start inside another's body, which keeps the search linear.
 */
const ESCAPES = new RegExp(
  [
    String.raw`(?:\x1b\[|\x9b)[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]`,
    String
      .raw`(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)`,
    String.raw`\x1b[\x20-\x2f]*[\x30-\x7e]`,
  ].join("|"),
  "g",
);

/** Whatever is blank becomes one plain space each: tab, the wide ones, U+2800, line separators. */
const BLANKS = /[\t\v\f\x85\p{Z}\u2800]/gu;

/**
 * Controls, format characters (bidirectional, zero-width, tags), private use, lone surrogates,
 * unassigned ones, and everything that is ignored by default (variation selectors, fillers).
 */
const UNSEEN = /(?!\n)[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{DI}]/gu;

const TOWERS = new RegExp(String.raw`(\p{M}{${MARKS_MAX}})\p{M}+`, "gu");

/**
 * Cleans a text that a scanned host chose.
 *
 * @param text What arrived.
 * @param options The cap, and whether line ends stay.
 * @returns The text without escape sequences, controls and invisible characters, in NFC, at most
 * `lengthMax` long; a text that was cut ends in `…`.
 */
export function cleanText(text: string, options: CleanOptions): string {
  const lengthMax = Math.max(1, options.lengthMax);
  if (text.length <= lengthMax && PLAIN.test(text)) return text;
  const readMax = lengthMax * READ_FACTOR;
  const read = text.length > readMax ? text.slice(0, readMax) : text;
  const lines = options.keepLines === true;
  const seen = read
    .replace(ESCAPES, "")
    .replace(/\r\n?/g, "\n")
    .replace(/\n/g, lines ? "\n" : " ")
    .replace(BLANKS, " ")
    .replace(UNSEEN, "")
    .normalize("NFC")
    .replace(TOWERS, "$1");
  const trimmed = lines ? trimLines(seen) : seen.trim();
  if (trimmed.length <= lengthMax && read.length === text.length) {
    return trimmed;
  }
  return cut(trimmed, lengthMax);
}

/** A cleaned text and the heuristic's word on it. */
export interface Untrusted {
  readonly text: string;
  /** Whether it reads like an instruction to a model. */
  readonly suspicious: boolean;
}

/**
 * Cleans a text and looks at it before and after, so that what is hidden counts as well.
 *
 * @param text What arrived.
 * @param options The cap, and whether line ends stay.
 * @returns The cleaned text and the flag.
 */
export function readUntrusted(text: string, options: CleanOptions): Untrusted {
  return {
    text: cleanText(text, options),
    suspicious: looksLikeInstruction(text),
  };
}

/**
 * What a text is held against, lower-cased, without accents and with single blanks. Each is a way
 * that text in a tool's result has been used to steer a model. Gaps are bounded, so that no text
 * makes the search slow.
 */
const SIGNS: readonly RegExp[] = [
  // Laying aside what was said before.
  /\b(?:ignore|disregard|forget|override|bypass|overrule|skip)\b.{0,40}\b(?:previous|prior|above|earlier|preceding|all|any|your|system|safety|these|those|the)\b.{0,40}\b(?:instructions?|prompts?|rules?|guidelines?|directions?|messages?|context|polic(?:y|ies)|guardrails?|restrictions?|orders?)\b/,
  /\b(?:ignor(?:iere|ieren|ez|a|ar|e)|vergiss|olvida|oubliez|desconsidere)\b.{0,40}\b(?:anweisungen|instrucciones|instructions|instrucoes|istruzioni|regeln|reglas|regles)\b/,
  /\b(?:new|updated|additional|revised|urgent|hidden|secret|important|begin|end of|following) (?:system )?(?:instructions?|prompt|directives?)(?: (?:for|to) [a-z ]{1,20})? ?[:!-]/,
  /\bsystem ?prompt\b|\bprompt injection\b|\bjailbreak\b|\bdo anything now\b/,
  // Taking a role in the conversation.
  /^ ?[[(<#*"']{0,4}(?:assistant|human|developer|tool result|tool_result|(?:system|user|developer) (?:prompt|message|note|override|instruction)s?)[\])>*"']{0,4} ?:/m,
  /^ ?[[(<#*"']{0,4}system[\])>*"']{0,4} ?:(?! ?(?:$|[\d(]|linux|windows|microsoft|unix|[a-z]*bsd|darwin|mac|ios|android|sunos|solaris|hp|aix|vmware|cisco|debian|ubuntu|red ?hat|centos|x86|arm|amd|intel|up|ok|ready|online)\b)/m,
  /\b(?:assistant|human): .{0,80}\b(?:assistant|human|system):/,
  /\byou are (?:now|no longer)\b(?! (?:connect|logg|log |sign|disconnect|leav|enter|access|view|talk|on |in |at |using|being|be |authenticat|able|allowed|welcome|ready|free))/,
  /\byou are (?:a|an|the)? ?(?:helpful|ai|artificial|language model|llm|assistant|chatbot|chatgpt|claude|gpt|dan|gemini|copilot|unrestricted|autonomous)\b/,
  /\bfrom now on,? (?:you|your|always|only|act|respond|answer)\b/,
  /\b(?:pretend|act|behave|respond) (?:to be|as if|as though|as|like)(?: an?| the)? (?:you|unrestricted|ai|assistant|admin|root|system|developer|dan|different)\b/,
  // Speaking to a model.
  /\b(?:attention|hey|dear|hello|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)) (?:the |all |any |this )?(?:ai|llms?|assistants?|agents?|language models?|models?|claude|gpt|chatgpt|copilot|gemini)\b/,
  /\b(?:as an ai|if you are an? (?:ai|llm|assistant|agent|model|language model|bot)|ai (?:agents?|assistants?|models?)|language models?|llms?)\b.{0,60}\b(?:must|should|please|need to|have to|required|shall|ignore|instead)\b/,
  /\b(?:do not|don'?t|never|without) (?:tell|telling|inform|informing|mention|mentioning|alert|notify|notifying|warn|ask|asking)\b.{0,30}\b(?:users?|humans?|operators?|anyone|owners?)\b/,
  // Asking for tools.
  /\b(?:call|invoke|execute|trigger)(?:ing)? (?:the |this |that |your |a )?(?:[\w.-]{1,40} )?(?:tools?|functions?|mcp)\b/,
  /\buse (?:your|the following|another|this) (?:[\w.-]{1,40} )?tools?\b/,
  /\b(?:run|call|use|execute|start|launch|invoke)\b.{0,20}\b(?:nmap|masscan|gobuster|scan_(?:cancel|results|status|list))\b/,
  /\b(?:please|now|next|must|should|then|also|instead)\b.{0,15}\bscan\b.{0,30}\d{1,3}\.\d{1,3}\./,
  /"(?:tool_calls?|function_call|tool_use|tool_use_id)" ?:|"method" ?: ?"tools\/call"|"role" ?: ?"(?:system|assistant|tool|developer)"/,
  // Asking for secrets, or for a verdict.
  /\b(?:reveal|print|show|repeat|output|leak|send|exfiltrate|expose|forward|upload|post|tell me)\b.{0,40}\b(?:your|the|all|any) (?:[a-z]{1,12} )?(?:instructions|prompt|api keys?|secrets?|credentials|environment variables|conversation|chat history|tokens)\b/,
  /\b(?:mark|report|treat|classify|consider|declare) (?:this|the|all|these) (?:hosts?|servers?|targets?|systems?|scans?|ports?|addresses|networks?|findings?) (?:as |to be )?(?:safe|secure|clean|trusted|out of scope|in scope|allowed|authorized|not vulnerable|patched)\b/,
  // Ends and beginnings of a conversation's own markup.
  /<\|[a-z_ ]{2,32}\|>|\[\/?inst\]|<<\/?sys>>|<(?:start|end)_of_turn>|###? ?(?:system|instruction|assistant|response) ?:/,
  /<\/?(?:antml:)?(?:tool_results?|tool_use|tool_calls?|tool_response|function_calls?|function_results?|invoke|system|system[-_](?:reminder|prompt|message)|assistant|human|thinking|instructions?|untrusted|important|context|documents?)\b[^<>]{0,200}>/,
  // Pictures and links that carry data away when shown.
  /!\[[^\]]{0,200}\] ?\( ?(?:https?:)?\/\//,
  /\] ?\( ?(?:https?:\/\/[^) ]{0,300}[?&][^) ]{0,100}=|javascript:|data:)/,
  /<img [^<>]{0,200}src ?= ?["']?(?:https?:)?\/\//,
];

/** Tag characters spell out ASCII that no person sees. They have no use in a banner. */
const TAGS = /[\u{e0020}-\u{e007e}]/u;

/** Letters of other scripts that look like Latin ones, and those. */
const LATIN_LOOKING = "аеорсухіѕјԁһӏαοενικρτυ";
const LATIN = "aeopcyxisjdhlaoevikptu";
const LOOKALIKES: ReadonlyMap<string, string> = new Map(
  [...LATIN_LOOKING].map((letter, at) => [letter, LATIN.charAt(at)]),
);

/**
 * Tells whether a text reads like an instruction to a model. It looks for words that lay aside what
 * was said before, take a role, speak to a model, ask for tools or secrets or a verdict, for chat
 * markup, and for pictures and links that carry data away; letters that only look Latin count as
 * Latin. It is a heuristic: it may miss, and it may flag a text that is about such things.
 *
 * @param text The text as it arrived, or cleaned.
 * @returns Whether to flag it.
 */
export function looksLikeInstruction(text: string): boolean {
  const read = text.length > LOOK_LENGTH_MAX
    ? text.slice(0, LOOK_LENGTH_MAX)
    : text;
  if (TAGS.test(read)) return true;
  // The shortest sign is longer, and most texts of a report are short.
  if (read.length < 6) return false;
  const looked = folded(read);
  return SIGNS.some((sign) => sign.test(looked));
}

/** Lower case, Latin look, no accents, one blank between words, line ends kept. */
function folded(text: string): string {
  const clean = cleanText(text, {
    lengthMax: LOOK_LENGTH_MAX,
    keepLines: true,
  });
  const latin = !/[^\x20-\x7e\n]/.test(clean)
    ? clean.toLowerCase()
    : clean.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase()
      .replace(/[^\x20-\x7e\n]/g, (letter) => LOOKALIKES.get(letter) ?? letter)
      .replace(/[‘’]/g, "'").replace(/[“”]/g, '"');
  // A line end inside a sentence must not hide it, and a role stands at the start of a line.
  const looks = [latin.replace(/ +/g, " "), latin.replace(/\s+/g, " ")];
  // nmap writes blanks as `\x20` in a fingerprint; a URL writes them as `%20`.
  if (/\\|%[0-9a-f]{2}/.test(latin)) {
    looks.push(
      latin.replace(
        /(?:\\x|%)([0-9a-f]{2})/g,
        (_, digits: string) => String.fromCharCode(parseInt(digits, 16)),
      ).replace(/\\[nrt]/g, " ").replace(/\\/g, "").replace(/\s+/g, " "),
    );
  }
  // A path or a host name has other signs where a sentence has blanks.
  if (!/\s/.test(latin)) looks.push(latin.replace(/[-_.,+/:%~]+/g, " "));
  return looks.join("\n");
}

/** Without blanks before a line end, empty lines at the ends, and in linear time. */
function trimLines(text: string): string {
  return text.split("\n").map((line) => line.trimEnd()).join("\n")
    .replace(/^\n+/, "").trimEnd();
}

function cut(text: string, lengthMax: number): string {
  let end = Math.min(text.length, lengthMax - 1);
  const last = text.charCodeAt(end - 1);
  // Half a pair is no character.
  if (last >= 0xd800 && last <= 0xdbff) end--;
  return text.slice(0, end) + CUT;
}
