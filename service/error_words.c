/* SPDX-License-Identifier: Apache-2.0 */
#include "error_words.h"

#include <string.h>

/* The longer of two that begin alike stands first. */
static const struct {
    const char *option, *key;
} words[] = {
    {"with --cert-dir, or use --tls-verify=false", "with image.extra_root_certificates"},
    {"which --tls-verify=false allows", "which insecure = true in image.registry_config allows"},
    {"give one with --cert-dir", "put one into /etc/containers/certs.d"},
    {"--creds, --authfile", "image.authenticated_registry_credentials_uri"},
    {"--creds or --authfile", "image.authenticated_registry_credentials_uri"},
    {"another --root", "another image.work_dir"},
    {"name one with --kbc",
     "name one in kbc.name, or in sluice.upstream the hub that speaks to it"},
    {"--kbc", "kbc.name, sluice.upstream"},
    {"--decryption-key", "sluice.key_providers"},
    {"give --policy FILE", "set image.image_security_policy_uri"},
    {", or accept the image unverified with --insecure-policy", ""},
};

/* The entry of words that text begins with, or -1. */
static int find(const char *text)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strncmp(text, words[i].option, strlen(words[i].option)) == 0)
            return (int)i;
    return -1;
}

void sl_reword_advice(const char *text, char *ret, size_t size)
{
    size_t n = 0;
    while (*text && n + 1 < size) {
        int i = find(text);
        const char *from = i < 0 ? text : words[i].key;
        size_t len = i < 0 ? 1 : strlen(from);
        if (len > size - 1 - n)
            len = size - 1 - n;
        memcpy(ret + n, from, len);
        n += len;
        text += i < 0 ? 1 : strlen(words[i].option);
    }
    ret[n] = '\0';
}
