/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a packet to be made. Who controls these bytes: the command line, and whoever
 * may ask the key provider to wrap. What was understood holds together and has a canonical kid. */
#include "sluice/core/resource_uri.h"
#include "sluice/key_wrap.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_FREE char *text = strndup((const char *)data, size);
    SL_AUTO_DONE(sl_packet_params) params = {0};
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    struct sl_error err;
    if (sl_packet_params_parse(text, &params, &err) < 0) {
        need(!params.keypath && !params.kid);
        return 0;
    }
    need(params.is_sample ? !params.kid && !params.keypath && !params.is_ctr : params.kid != NULL);
    if (params.is_sample)
        return 0;
    need(sl_resource_uri_parse(params.kid, &uri, &err) == 0);
    need(sl_resource_uri_need_resource(&uri, &err) == 0 && !uri.query);
    SL_AUTO_FREE char *kid = sl_resource_uri_format(&uri);
    need(kid && strcmp(kid, params.kid) == 0);
    return 0;
}
