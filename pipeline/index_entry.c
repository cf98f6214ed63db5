/* SPDX-License-Identifier: Apache-2.0 */
#include "index_entry.h"

#include <string.h>

bool sl_index_entry_is_attestation(const struct sl_json *entry)
{
    const struct sl_json *platform = sl_json_get(entry, "platform");
    const char *os = sl_json_string(sl_json_get(platform, "os"));
    const char *arch = sl_json_string(sl_json_get(platform, "architecture"));
    if (sl_json_get(sl_json_get(entry, "annotations"), "vnd.docker.reference.type"))
        return true;
    return os && arch && strcmp(os, "unknown") == 0 && strcmp(arch, "unknown") == 0;
}

int sl_index_entry_digest(const struct sl_json *entry, struct sl_digest *ret, const char **ret_text,
                          struct sl_error *err)
{
    int r = sl_json_need_string(entry, "digest", ret_text, err);
    return r < 0 ? r : sl_digest_parse(*ret_text, ret, err);
}
