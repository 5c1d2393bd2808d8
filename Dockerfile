# The server, the three scanners and their launchers in one image.
#
#   docker build -t security-mcp .
#
# What it is to be run with is written in the label `run`: a root file system that nobody can write to,
# no network privilege but that of raw packets, no way to any other right, and a volume for its state.
# The command of the image is `serve` (MCP over stdio, hence -i); every other one of the server's
# commands can stand in its place:
#
#   docker run … security-mcp doctor --sandbox
#   docker run … security-mcp scan nmap 127.0.0.1 --ports 1-1024
#
# The HTTP server needs a network permission that the image's command does not have. So it replaces the
# entry point by the command of `deno task serve-http`: deploy/compose/serve_http.yaml and
# deploy/kubernetes/serve_http.yaml have it written out.
#
# A configuration is mounted and named, because the server reads ./config and nothing else:
#
#   docker run … -v ./mine.yaml:/app/config/mine.yaml:ro -e MCP_CONFIG_FILE=config/mine.yaml security-mcp
#
# Where the public base cannot be pulled, deploy/image/base.sh makes one. Behind a proxy with a
# certificate of its own, and with a registry of one's own:
#
#   docker build --secret id=ca,src=ca.pem --secret id=npmrc,src=$HOME/.npmrc -t security-mcp .

# Pinned by the day it was made. Who has looked up its digest pins that too: --build-arg BASE=…@sha256:…
ARG BASE=debian:bookworm-20260824-slim

# --- Deno -------------------------------------------------------------------------------------------
FROM ${BASE} AS deno
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get -q update && apt-get -q -y --no-install-recommends install ca-certificates npm
ARG DENO_VERSION=2.9.6
# Of the program itself; npm compares what it downloads with what the registry says.
ARG DENO_SHA256_AMD64=bceb5b6a6239b0b010418406d8c77a508f67cf4337d94288f1c19fe71304aab0
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca \
  set -eu; \
  if [ -s /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
  npm install -g --no-fund --no-audit --no-update-notifier --loglevel=error "deno@$DENO_VERSION"; \
  cd "$(npm root -g)/deno"; \
  node install.cjs; \
  if [ "$(dpkg --print-architecture)" = amd64 ]; then \
    echo "$DENO_SHA256_AMD64  deno" | sha256sum --check --strict -; \
  fi; \
  install -m 0555 deno /usr/local/bin/deno

# --- The program ------------------------------------------------------------------------------------
# The packages that the server needs, of the versions and with the checksums of deno.lock; those of the
# tests stay out. Then nobody may write to any of it.
FROM deno AS app
ENV DENO_DIR=/app/.deno_dir
WORKDIR /app
COPY deno.json deno.lock ./
COPY src src
COPY deploy/image/trim.ts /tmp/
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca \
  set -eu; \
  if [ -s /run/secrets/ca ]; then export DENO_CERT=/run/secrets/ca; fi; \
  find src -name '*.ts' -exec printf 'import "./%s";\n' {} + >all.ts; \
  DENO_DIR=/tmp/deno_dir deno info --json all.ts >/tmp/graph.json; \
  deno run --no-config --allow-read=deno.json /tmp/trim.ts </tmp/graph.json >/tmp/deno.json; \
  mv /tmp/deno.json .; \
  deno cache --frozen=false all.ts; \
  rm -r all.ts .deno_dir/*_cache_*
COPY sandbox sandbox
COPY config config
# The folder of state belongs to both users that the image is made for.
RUN chmod -R a=rX . && install -d -o 65532 -g 0 -m 0770 state

# --- The image --------------------------------------------------------------------------------------
FROM ${BASE}
ARG DEBIAN_FRONTEND=noninteractive
# The versions that the tests ran with: other ones may print what our readers do not know. Programs that
# give their caller another user's rights lose that. (The launchers need perl, which is in every Debian.)
RUN apt-get -q update && \
  apt-get -q -y --no-install-recommends upgrade && \
  apt-get -q -y --no-install-recommends install \
    nmap=7.93* masscan=2:1.3.2* gobuster=3.5* bubblewrap && \
  rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* && \
  find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=deno /usr/local/bin/deno /usr/local/bin/deno
COPY --from=app /app /app

ENV DENO_DIR=/app/.deno_dir DENO_NO_UPDATE_CHECK=1
WORKDIR /app
VOLUME /app/state

# Root without any of root's rights but that of raw packets: docker gives rights to root alone. Where
# connect scans are enough: --user 65532, and no --cap-add. (podman gives rights to any user, so there
# --user 65532 --cap-add NET_RAW sends raw packets too.) Neither user reads the other's state: a volume
# each.
#
# A container may not make namespaces unless it is told so, and without them bubblewrap does not work
# inside: then the container is all the sandbox there is, and health says so (degraded). With podman,
# --user 65532 --security-opt unmask=ALL allows it, for connect scans.
# `-e MCP_SANDBOX_REQUIRED=true` refuses to start without.
USER 0:0
LABEL org.opencontainers.image.title="security-mcp" \
  org.opencontainers.image.licenses="Apache-2.0" \
  run="docker run -i --rm --read-only --cap-drop ALL --cap-add NET_RAW --security-opt no-new-privileges --pids-limit 512 --ulimit memlock=0 --tmpfs /tmp -v security-mcp:/app/state security-mcp"

# The flags of the tasks in deno.json, written out: whoever could change that file could not widen them.
ENTRYPOINT ["/app/sandbox/start", "deno", "run", "--no-prompt", "--no-remote", "--cached-only", "--deny-import", \
  "--allow-run=nmap,masscan,gobuster", \
  "--allow-read=./src,./config,./state,/dev/tty", "--allow-write=./state", \
  "--allow-env=PATH,MCP_*", "--allow-sys=systemMemoryInfo,loadavg,statfs", \
  "src/main.ts"]
CMD ["serve"]

# A server over stdio has no port to ask, and the container ends when it does. This asks what it cannot
# know of itself: whether the configuration as it is now, the isolates, the launchers and the scanners
# would work at the next scan. No packet is sent.
HEALTHCHECK --interval=5m --timeout=30s --start-period=10s --retries=2 CMD ["/app/sandbox/start", \
  "deno", "run", "--no-prompt", "--no-remote", "--cached-only", "--deny-import", \
  "--allow-run=nmap,masscan,gobuster", \
  "--allow-read=./src,./config,./state,/dev/tty", "--allow-write=./state", \
  "--allow-env=PATH,MCP_*", "--allow-sys=systemMemoryInfo,loadavg,statfs", \
  "src/main.ts", "doctor"]
