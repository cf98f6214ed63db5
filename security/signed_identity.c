/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides are parsed and written anew before anything is compared: "busybox" is
 * "docker.io/library/busybox". No default tag is ever added to what was signed.
 */
#include "signed_identity.h"

#include "image_scope.h"

#include <stdlib.h>
#include <string.h>

static bool is_name_only(const struct sl_reference *ref)
{
    return !ref->tag && !ref->has_digest;
}

static bool names_are_equal(const struct sl_reference *a, const struct sl_reference *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->repository, b->repository) == 0;
}

static bool tags_are_equal(const struct sl_reference *a, const struct sl_reference *b)
{
    return a->tag && b->tag ? strcmp(a->tag, b->tag) == 0 : !a->tag && !b->tag;
}

static bool digests_are_equal(const struct sl_reference *a, const struct sl_reference *b)
{
    return a->has_digest == b->has_digest &&
           (!a->has_digest || sl_digest_is_equal(&a->digest, &b->digest));
}

static bool match_exactly(const struct sl_reference *wanted, const struct sl_reference *is)
{
    return !is_name_only(wanted) && !is_name_only(is) && names_are_equal(wanted, is) &&
           tags_are_equal(wanted, is) && digests_are_equal(wanted, is);
}

/* Who asks for a digest has a manifest nobody can exchange, so any name of it in the repository
 * will do. That it is this manifest which was signed is checked elsewhere. */
static bool match_repo_digest_or_exactly(const struct sl_reference *wanted,
                                         const struct sl_reference *is)
{
    if (!wanted->tag && wanted->has_digest)
        return !is_name_only(is) && names_are_equal(wanted, is);
    return match_exactly(wanted, is);
}

/* ---- remapIdentity ---- */

bool sl_identity_prefix_is_valid(const char *prefix)
{
    size_t host_len = strcspn(prefix, "/");
    const char *path = prefix[host_len] ? prefix + host_len + 1 : "path";
    /* A port makes the parser see a host where it would see a folder of docker.io. */
    const char *port = memchr(prefix, ':', host_len) ? "" : ":1";
    SL_AUTO_FREE char *text = sl_strf("%.*s%s/%s", (int)host_len, prefix, port, path);
    SL_AUTO(sl_reference) ref = NULL;
    if (!text || sl_reference_parse_as_written(text, &ref, /* err= */ NULL) < 0)
        return false;
    return is_name_only(ref) && strncmp(ref->host, prefix, host_len) == 0;
}

/* What of name follows the prefix; NULL when it does not begin with it as a whole. */
static const char *after_prefix(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    bool fits = strncmp(name, prefix, len) == 0 && (name[len] == '/' || name[len] == '\0');
    return fits ? name + len : NULL;
}

/* The signed name must come out as a full one: a short one would become some other image. */
static struct sl_reference *parse_full(const char *text)
{
    SL_AUTO(sl_reference) ref = NULL;
    if (sl_reference_parse_as_written(text, &ref, /* err= */ NULL) < 0)
        return NULL;
    SL_AUTO_FREE char *full = sl_reference_format(ref);
    return full && strcmp(full, text) == 0 ? sl_steal(&ref) : NULL;
}

static bool match_remapped(const struct sl_identity_rule *rule, const struct sl_reference *wanted,
                           const struct sl_reference *is)
{
    SL_AUTO_FREE char *name = sl_strf("%s/%s", wanted->host, wanted->repository);
    SL_AUTO_FREE char *full = sl_reference_format(wanted);
    if (!name || !full)
        return false;
    if (!after_prefix(name, rule->prefix))
        return match_repo_digest_or_exactly(wanted, is);
    /* Tag and digest stay; the format puts them behind the name. */
    SL_AUTO_FREE char *text = sl_strf("%s%s", rule->signed_prefix, full + strlen(rule->prefix));
    SL_AUTO(sl_reference) remapped = text ? parse_full(text) : NULL;
    return remapped && match_repo_digest_or_exactly(remapped, is);
}

/* ---- the rule ---- */

/* NULL when the image has no name in a registry. As policies know it: with tag and digest, the
 * digest alone, unless everything must be equal. */
static struct sl_reference *parse_wanted(const char *image_name, enum sl_identity_type type)
{
    SL_AUTO(sl_reference) ref = NULL;
    if (strcmp(sl_image_transport(image_name), "docker") != 0 ||
        sl_reference_parse_as_written(image_name, &ref, /* err= */ NULL) < 0)
        return NULL;
    if (ref->tag && ref->has_digest && type != SL_MATCH_EXACT) {
        free(ref->tag);
        ref->tag = NULL;
    }
    return sl_steal(&ref);
}

static bool accepts(const struct sl_identity_rule *rule, const char *image_name,
                    const struct sl_reference *is)
{
    if (rule->type == SL_EXACT_REFERENCE)
        return match_exactly(rule->reference, is);
    if (rule->type == SL_EXACT_REPOSITORY)
        return names_are_equal(rule->reference, is);
    SL_AUTO(sl_reference) wanted = parse_wanted(image_name, rule->type);
    if (!wanted)
        return false;
    switch (rule->type) {
    case SL_MATCH_EXACT:
        return match_exactly(wanted, is);
    case SL_MATCH_REPO_DIGEST_OR_EXACT:
        return match_repo_digest_or_exactly(wanted, is);
    case SL_MATCH_REPOSITORY:
        return names_are_equal(wanted, is);
    case SL_REMAP_IDENTITY:
        return match_remapped(rule, wanted, is);
    default:
        return false;
    }
}

bool sl_identity_accepts(const struct sl_identity_rule *rule, const char *image_name,
                         const char *signed_reference)
{
    SL_AUTO(sl_reference) is = NULL;
    return sl_reference_parse_as_written(signed_reference, &is, /* err= */ NULL) == 0 &&
           accepts(rule, image_name, is);
}
