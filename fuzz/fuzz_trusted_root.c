/* SPDX-License-Identifier: Apache-2.0 */
/* The operator writes a trusted root, and it may come over the network. */
#include "sigstore_trust.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_logs(const struct sl_trusted_log *logs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!logs[i].key.key || logs[i].valid.start > logs[i].valid.end)
            abort();
}

static void check_chains(const struct sl_trusted_chain *chains, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sk_X509_num(chains[i].certs) < 1 || chains[i].valid.start > chains[i].valid.end)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_sigstore_trust *trust = calloc(1, sizeof(*trust));
    struct sl_error err;
    if (!trust)
        abort();
    if (sl_trusted_root_parse((struct sl_span){data, size}, trust, &err) == 0) {
        check_logs(trust->logs, trust->n_logs);
        check_logs(trust->ct_logs, trust->n_ct_logs);
        check_chains(trust->authorities, trust->n_authorities);
        check_chains(trust->timestampers, trust->n_timestampers);
    }
    (void)sl_sigstore_trust_free(trust);
    return 0;
}
