/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every broker we do not speak to ourselves, through somebody who does: a confidential data hub. It
 * knows resources only; a KEK is one of 32 bytes, as it is for the hub's own unwrapping. Without a
 * hub a broker that exists is refused when it is needed, since guests are configured with one and
 * pull plain images too; a name that nobody knows is refused at once.
 */
#include "kbc_broker.h"

#include <stdlib.h>
#include <string.h>

/* What confidential-containers guest-components call theirs, now or once. */
static const char *const elsewhere[] = {"cc_kbc", "online_sev_kbc", "offline_sev_kbc", "eaa_kbc"};

struct forwarded {
    struct sl_kbc_forward to; /* zeroed: nobody */
    char *selection;
};

bool sl_kbc_is_spoken_elsewhere(const char *selection)
{
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        size_t len = strlen(elsewhere[i]);
        if (strncmp(selection, elsewhere[i], len) == 0 && strncmp(selection + len, "::", 2) == 0)
            return true;
    }
    return false;
}

int sl_kbc_unknown(const char *selection, struct sl_error *err)
{
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                        "unknown kbc '%.100s', only offline_fs_kbc::null and, for tests, "
                        "sample_kbc::null are supported; for others configure an upstream "
                        "confidential data hub",
                        selection);
}

static void forward_close(void *broker)
{
    struct forwarded *forwarded = broker;
    if (!forwarded)
        return;
    if (forwarded->to.close)
        forwarded->to.close(forwarded->to.arg);
    free(forwarded->selection);
    free(forwarded);
}

static int forward_open(const struct sl_kbc_options *options, const char *uri, void **ret,
                        struct sl_error *err)
{
    (void)uri; /* the hub's own configuration says where the broker is */
    struct forwarded *forwarded = calloc(1, sizeof(*forwarded));
    if (forwarded)
        forwarded->selection = strdup(options->selection);
    if (!forwarded || !forwarded->selection) {
        free(forwarded);
        return sl_error_oom(err);
    }
    if (options->forward) {
        forwarded->to = *options->forward;
        *options->forward = (struct sl_kbc_forward){0};
    }
    *ret = forwarded;
    return 0;
}

static int forward_get(void *broker, const struct sl_resource_uri *uri, struct sl_bytes *ret,
                       struct sl_error *err)
{
    const struct forwarded *forwarded = broker;
    if (!forwarded->to.get_resource)
        return sl_kbc_unknown(forwarded->selection, err);
    SL_AUTO_FREE char *text = sl_resource_uri_format(uri);
    return text ? forwarded->to.get_resource(forwarded->to.arg, text, ret, err) : sl_error_oom(err);
}

/* Hubs say that there is none, and not of which name; of a key our caller says it. */
static int forward_get_resource(void *broker, const struct sl_resource_uri *uri,
                                struct sl_bytes *ret, struct sl_error *err)
{
    int r = forward_get(broker, uri, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "kbs:///%.200s", uri->path) : 0;
}

const struct sl_kbc_broker sl_kbc_forwarded = {
    .name = "upstream",
    .label = "upstream",
    .open = forward_open,
    .close = forward_close,
    .get_kek = forward_get,
    .get_resource = forward_get_resource,
};
