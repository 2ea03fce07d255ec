#!/bin/sh
# Finds a Chromium for the browser tests, installs Debian's where that is allowed, or says how.
set -u

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done

how="The browser tests need Chromium. Install it, e.g. on Debian or Ubuntu:
    sudo apt-get install chromium fonts-noto-color-emoji"

if ! command -v apt-get >/dev/null 2>&1; then
  echo "$how" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || { echo "$how" >&2; exit 1; }
  as_root="sudo -n"
fi
echo "Installing Debian's chromium for the browser tests"
$as_root apt-get update -q >/dev/null &&
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q chromium fonts-noto-color-emoji >/dev/null ||
  { echo "$how" >&2; exit 1; }
