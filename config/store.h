/* SPDX-License-Identifier: Apache-2.0 */
/* One value into its place in struct sl_config: its type, its limits, its form. */
#pragma once

#include "keys.h"
#include "sluice/core/json.h"

/* As if the text stood in a file, for what is no file; of a list the one element. Errors do not
 * name the key. On failure the value is what it was. */
SL_MUST_CHECK int sl_config_store_text(struct sl_config *config, enum sl_config_id id,
                                       const char *text, struct sl_error *err);
SL_MUST_CHECK int sl_config_store_node(struct sl_config *config, enum sl_config_id id,
                                       const struct sl_json *node, struct sl_error *err);
/* The value for people, in one line, without secrets; "" when there is none. To be freed; NULL when
 * out of memory. */
char *sl_config_show(const struct sl_config *config, enum sl_config_id id);
char **sl_config_list_free(char **list);
