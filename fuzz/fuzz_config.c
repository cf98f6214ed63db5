/* SPDX-License-Identifier: Apache-2.0 */
/* The service's configuration. Who controls it: in a guest the host, which hands over init data
 * (measured, but read before that is judged) and the kernel's command line. The first byte says
 * what the rest is: 't' TOML, 'j' JSON, 'k' the command line, 'e' AA_KBC_PARAMS. */
#include "sources.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *kbc_params;

static const char *environment(const char *name)
{
    return strcmp(name, "AA_KBC_PARAMS") == 0 ? kbc_params : NULL;
}

/* Whatever was said: no credential file leads out of its folder, what must be there is, and each
 * line is one line. */
static void check(const struct sl_loaded_config *config)
{
    static const char below[] = "/run/confidential-containers/cdh/kbs/";
    const struct sl_config *v = &config->values;
    for (size_t i = 0; i < v->n_credentials; i++) {
        const char *path = v->credentials[i].path;
        if (strncmp(path, below, strlen(below)) != 0 || strstr(path, "/../") || strstr(path, "//"))
            abort();
    }
    if (!v->socket || !v->kbc_name || !v->aa_socket || !v->log_level || !v->work_dir ||
        !v->control || !v->bundle_roots || !v->bundle_roots[0] || v->pulls == 0 || v->memory == 0)
        abort();
    if ((v->policy_digest || v->require_signed) && !v->image_security_policy_uri &&
        !v->image_security_policy)
        abort();
    for (size_t i = 0; i < config->n_lines; i++)
        if (!config->lines[i].value || strpbrk(config->lines[i].value, "\n\r\x1b"))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct sl_span rest = {data + 1, size - 1};
    char *text = calloc(1, size);
    if (!text)
        return 0;
    memcpy(text, rest.data, rest.len);
    struct sl_config_texts texts = {.environment = environment};
    if (data[0] == 'k')
        texts.cmdline = rest;
    else if (data[0] != 'e')
        texts.file = rest;
    texts.file_name = data[0] == 'j' ? "fuzz.json" : "fuzz.toml";
    kbc_params = data[0] == 'e' ? text : NULL;
    SL_AUTO(sl_loaded_config) config = NULL;
    struct sl_error err;
    int r = sl_config_load_texts(&texts, &config, &err);
    if ((r == 0) != (config != NULL))
        abort();
    if (config)
        check(config);
    free(text);
    return 0;
}
