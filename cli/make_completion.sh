#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the bash completion, made from the program's own help: make_completion.sh SLUICE
set -eu
verbs=$("$1" --help | sed -n 's/^  \([a-z]*\) .* .*/\1/p' | grep -v '^sluice$')
cat <<'TXT'
# bash completion for sluice; made from its option table
_sluice() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options=
    COMPREPLY=()
    case $prev in
    --root | --cert-dir | --src-cert-dir | --dest-cert-dir | --pgp-home) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    --authfile | --src-authfile | --dest-authfile | --registries-conf | --decryption-key | \
        --offline-keys | --offline-resources | --key-provider-config | --encryption-policy | \
        --policy | --registries.d)
        COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --policy-compat) COMPREPLY=($(compgen -W image-rs -- "$cur")); return ;;
    esac
TXT
printf '    if [ "$COMP_CWORD" -eq 1 ]; then\n        COMPREPLY=($(compgen -W "%s --help" -- "$cur"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n' "$(echo $verbs)"
for verb in $verbs; do
    printf '    %s) options="%s" ;;\n' "$verb" "$(echo $("$1" "$verb" --help | sed -n 's/^  \(--[a-z0-9.-]*\).*/\1/p'))"
done
cat <<'TXT'
    esac
    case ${COMP_WORDS[1]}:$COMP_CWORD:$cur in
    *:-*) ;;
    config:2:*) COMPREPLY=($(compgen -W "check" -- "$cur")); return ;;
    ctl:2:*) COMPREPLY=($(compgen -W "cancel reload" -- "$cur")); return ;;
    esac
    case $cur in
    -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
    esac
}
complete -o filenames -F _sluice sluice
TXT
