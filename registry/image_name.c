/* SPDX-License-Identifier: Apache-2.0 */
#include "image_name.h"

#include "mirror.h"

#include <stdlib.h>
#include <string.h>

/* Transports of skopeo and podman that would otherwise pass for odd names of images. */
static const char *const foreign_transports[] = {
    "dir:", "docker-archive:", "docker-daemon:", "oci-archive:", "containers-storage:", "ostree:",
    "sif:", "tarball:",
};

/* What follows prefix, or NULL. */
static const char *after_prefix(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static int check_transport(const char *text, struct sl_error *err)
{
    bool is_foreign = strstr(text, "://") != NULL;
    for (size_t i = 0; i < sizeof(foreign_transports) / sizeof(foreign_transports[0]); i++)
        is_foreign |= after_prefix(text, foreign_transports[i]) != NULL;
    if (!is_foreign)
        return 0;
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                        "\"%s\": this transport is not supported; use docker:// or oci:", text);
}

static int parse_reference(const char *text, struct sl_image_name *ret, struct sl_error *err)
{
    int r = sl_reference_parse(text, &ret->ref, err);
    if (r < 0)
        return r;
    ret->text = sl_reference_format(ret->ref);
    ret->has_digest = ret->ref->has_digest;
    ret->digest = ret->ref->digest;
    return ret->text ? 0 : sl_error_oom(err);
}

/* "DIR@sha256" of "DIR@sha256:…", whose colon is the digest's and not the tag's. */
static char *find_digest(char *text, const char *colon)
{
    char *at = colon ? memrchr(text, '@', (size_t)(colon - text)) : NULL;
    if (!at)
        return NULL;
    size_t len = (size_t)(colon - at - 1);
    for (int alg = SL_SHA256; alg <= SL_SHA512; alg++) {
        const char *name = sl_digest_alg_name((enum sl_digest_alg)alg);
        if (strlen(name) == len && memcmp(at + 1, name, len) == 0)
            return at;
    }
    return NULL;
}

/* As for skopeo, DIR ends at the first colon. */
static int parse_layout(const char *path, struct sl_image_name *ret, struct sl_error *err)
{
    ret->dir = strdup(path);
    ret->text = sl_strf("oci:%s", path);
    if (!ret->dir || !ret->text)
        return sl_error_oom(err);
    char *colon = strchr(ret->dir, ':');
    char *at = find_digest(ret->dir, colon);
    if (at) {
        int r = sl_digest_parse(at + 1, &ret->digest, err);
        if (r < 0)
            return sl_error_wrap(err, r, "%s", ret->text);
        ret->has_digest = true;
        *at = '\0';
    } else if (colon) {
        ret->tag = strdup(colon + 1);
        if (!ret->tag)
            return sl_error_oom(err);
        *colon = '\0';
    }
    if (!*ret->dir || (ret->tag && !*ret->tag))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "\"%s\": expected oci:DIR, oci:DIR:TAG or oci:DIR@DIGEST", ret->text);
    return 0;
}

char *sl_image_name_text_at(const struct sl_image_name *name, const char *dir)
{
    return sl_strf("oci:%s%s", dir, name->text + strlen("oci:") + strlen(name->dir));
}

int sl_image_name_parse(const char *text, struct sl_image_name *ret, struct sl_error *err)
{
    const char *path = after_prefix(text, "oci:");
    if (path)
        return parse_layout(path, ret, err);
    const char *reference = after_prefix(text, "docker://");
    ret->host_was_explicit = reference || sl_reference_names_host(text);
    int r = reference ? 0 : check_transport(text, err);
    return r < 0 ? r : parse_reference(reference ? reference : text, ret, err);
}

void sl_image_name_done(struct sl_image_name *name)
{
    free(name->text);
    name->ref = sl_reference_free(name->ref);
    free(name->dir);
    free(name->tag);
    name->text = name->dir = name->tag = NULL;
}
