/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>

static const struct {
    const char *name, *arg;
    unsigned verbs;
    const char *help;
} table[] = {
#define OPTION(id, name, arg, verbs, help) {name, arg, (unsigned)(verbs), help},
#include "options.def"
#undef OPTION
};

void cli_print_help(void)
{
    printf("sluice brings a container image into a mounted root file system:\n"
           "fetched, verified, decrypted, unpacked, and published only when all of it is right.\n\n"
           "usage: sluice VERB [options] [arguments]\n\n");
    for (const struct cli_verb *v = cli_verbs; v->name; v++)
        printf("  %-9s %-24s %s\n", v->name, v->arguments, v->summary);
    printf("\nIMAGE is [docker://]NAME[:TAG][@DIGEST] or oci:DIR[:TAG|@DIGEST].\n"
           "sluice VERB --help lists the options of a verb; sluice(1) tells the rest.\n\n"
           "  sluice pull --insecure-policy --decryption-key key.pem quay.io/team/app:1 bundle\n");
}

void cli_print_verb_help(const struct cli_verb *verb)
{
    printf("usage: sluice %s [options] %s\n\n%s\n\n", verb->name, verb->arguments, verb->summary);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char left[48];
        if (!(table[i].verbs & verb->bit))
            continue;
        (void)snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].arg ? " " : "",
                       table[i].arg ? table[i].arg : "");
        printf("  %-28s %s\n", left, table[i].help);
    }
}
