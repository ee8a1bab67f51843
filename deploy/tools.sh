#!/usr/bin/env bash
# Makes sure that programs which no Python package can bring are there: `tools.sh java maven chromium compiler`.
# Installs what is missing with apt-get where that exists, otherwise says what to install. Changes nothing else.
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt_install() {
    have apt-get || return 1
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || return 1
    as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

java_is_new_enough() {
    local version
    version=$(java -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p' | head -n 1) || return 1
    [ "${version:-0}" -ge 17 ]
}

# Debian's headless package, under the name that this release has.
install_java() {
    apt_install openjdk-21-jre-headless || apt_install openjdk-17-jre-headless || apt_install default-jre-headless
}

need_java() {
    { have java && java_is_new_enough; } || { install_java && java_is_new_enough; } ||
        missing "Java 17 or newer (the local Kafka runs on it)"
}

need_maven() {
    have mvn || apt_install maven || missing "Maven (fetches Kafka's jars)"
}

# Noto and DejaVu: screenshots with Cyrillic letters that look the same on every machine.
need_chromium() {
    chromium_found && return
    apt_install chromium fonts-noto-core fonts-dejavu-core || true
    chromium_found && return
    # Ubuntu's chromium package is a snap that containers cannot run: take Playwright's build
    .venv/bin/python -m playwright install --with-deps chromium || missing "Chromium or Google Chrome"
}

chromium_found() {
    [ -n "${CHROMIUM:-}" ] || have google-chrome || have google-chrome-stable ||
        { have chromium && chromium --version >/dev/null 2>&1; } ||
        { have chromium-browser && chromium-browser --version >/dev/null 2>&1; }
}

# Tests put a small C library in front of the clocks of processes.
need_compiler() {
    have cc || apt_install gcc libc6-dev || missing "a C compiler"
}

missing() {
    echo "Leadfold's tests need $1: install it with your system's package manager and run make again." >&2
    exit 1
}

for tool in "$@"; do
    "need_$tool"
done
