/* SPDX-License-Identifier: Apache-2.0 */
#include "status_text.h"

#include "error_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HUB "[CDH] [ERROR]: "
#define PREFIX HUB "Failed to pull image "

/* The agent takes INTERNAL from the hub, whatever the cause. What has no cause in the image has a
 * status that tells so: who cancelled or shuts down wants no other answer. */
static enum sl_rpc_status code_of(const struct sluice_error *err)
{
    if (err->code == SLUICE_E_CANCELLED)
        return err->errnum == ESHUTDOWN ? SL_RPC_UNAVAILABLE : SL_RPC_CANCELLED;
    return SL_RPC_INTERNAL;
}

/* Cut in front of a character, not within one; what is not printable ASCII shows as '?'. */
static void quote(const char *image, char out[SL_STATUS_IMAGE_MAX + 8])
{
    size_t len = strlen(image);
    size_t n = len < SL_STATUS_IMAGE_MAX ? len : SL_STATUS_IMAGE_MAX;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(image[i] >= 0x20 && image[i] < 0x7f ? image[i] : '?');
    memcpy(out + n, n < len ? "..." : "", n < len ? sizeof("...") : 1);
}

struct sl_status sl_status_of_failure(enum sl_pull_step step, const char *image,
                                      const struct sluice_error *err)
{
    struct sl_status s = {.code = code_of(err)};
    char ref[SL_STATUS_IMAGE_MAX + 8], why[sizeof(err->message)];
    quote(image, ref);
    sl_reword_advice(err->message, why, sizeof(why));
    switch (step) {
    case SL_STEP_REFERENCE:
        (void)snprintf(s.text, sizeof(s.text), PREFIX "%s: Illegal image reference: %s", ref, why);
        break;
    case SL_STEP_PULL:
        (void)snprintf(s.text, sizeof(s.text),
                       PREFIX "%s from all mirror/mapping locations or original location: "
                              "image: %s, error: %s",
                       ref, ref, why);
        break;
    case SL_STEP_BUNDLE:
        (void)snprintf(s.text, sizeof(s.text), PREFIX "%s: %s", ref, why);
        break;
    }
    return s;
}

const char *sl_status_plain(const struct sl_status *status)
{
    return status->text + strlen(HUB);
}
