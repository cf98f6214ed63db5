/* SPDX-License-Identifier: Apache-2.0 */
#include "signature_discovery.h"

#include "sluice/core/cancel.h"
#include "sluice/core/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLACE_BYTES_MAX = 8 * 1024 * 1024, /* of all signatures of one place */
    WHERE_HINT_MAX = 88,               /* bytes of a place's name in a hint */
    PLACES_MAX = 6,                    /* three kinds of places, for two digests */
};

static const char cosign_layer_type[] = "application/vnd.dev.cosign.simplesigning.v1+json";
/* "….bundle.v0.3+json"; before that "….bundle+json;version=0.1" and so on. */
static const char bundle_type[] = "application/vnd.dev.sigstore.bundle";

/* A place to look at. */
struct place {
    const struct sl_signature_search *search;
    const struct sl_digest *digest;
    int (*look)(struct place *place, struct sl_error *err);
    const char *name;       /* static */
    const char *lookaside;  /* base URL */
    const char *repository; /* without host; NULL: the image is in no registry */
    pthread_t thread;
    struct sl_signatures found;
    size_t bytes; /* of them */
    struct sl_error error, hint;
    int result;
    bool is_simple, is_sigstore; /* kinds that may lie there */
};

static int check_stop(const struct place *p, struct sl_error *err)
{
    if (p->search->stop && atomic_load(p->search->stop))
        return sl_cancel_error(err);
    if (sl_clock_ms() < p->search->deadline_ms)
        return 0;
    return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT,
                        "signatures come so slowly that not all of them were looked at");
}

/* What somebody put there is no signature that anybody could read: it is as if it were not there.
 * 0 then; otherwise the place could not be read. */
static int skip_malformed(struct place *p, const char *where, int r, const struct sl_error *why,
                          struct sl_error *err)
{
    bool is_malformed =
        why->errnum != ENOMEM &&
        (why->code == SL_E_FORMAT || why->code == SL_E_LIMIT || why->code == SL_E_UNSUPPORTED);
    if (!is_malformed) {
        *err = *why;
        return r;
    }
    sl_log(SL_LOG_DEBUG, "%s is passed over: %s", where, why->msg);
    size_t len = strlen(where);
    if (p->hint.code == SL_OK) /* the end of a URL tells more than its beginning */
        (void)sl_error_set(&p->hint, why->code, why->errnum, "%s; %s", why->msg,
                           where + (len > WHERE_HINT_MAX ? len - WHERE_HINT_MAX : 0));
    p->found.n_others++;
    return 0;
}

/* Moves the signature to what was found, or drops it with all that are too many. */
static int keep(struct place *p, struct sl_signature *signature, struct sl_error *err)
{
    size_t len = signature->bytes.len;
    if (p->found.n < SL_SIGNATURES_MAX && len <= PLACE_BYTES_MAX - p->bytes) {
        p->bytes += len;
        return sl_signatures_add(&p->found, signature, err);
    }
    sl_log(SL_LOG_DEBUG, "%s is passed over: more than %d signatures or %d bytes of them",
           signature->where, SL_SIGNATURES_MAX, PLACE_BYTES_MAX);
    p->found.n_others++;
    sl_signature_done(signature);
    return 0;
}

/* ---- simple signing ---- */

static bool is_web_url(const char *url)
{
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
}

static int read_lookaside(const struct place *p, const char *url, struct sl_bytes *ret,
                          struct sl_error *err)
{
    if (is_web_url(url))
        return sl_attachment_get_url(p->search->source, url, SL_SIMPLE_SIGNATURE_MAX, ret, err);
    return sl_lookaside_read_file(p->lookaside, url, ret, err);
}

static int take_blob(struct place *p, const char *url, struct sl_span blob, struct sl_error *err)
{
    struct sl_signature signature = {0};
    struct sl_error why = {0};
    int r = sl_signature_from_blob(blob, &signature, &why);
    if (r < 0)
        return skip_malformed(p, url, r, &why, err);
    signature.where = strdup(url);
    if (!signature.where) {
        sl_signature_done(&signature);
        return sl_error_oom(err);
    }
    return keep(p, &signature, err);
}

/* signature-N: 1 when there was one. */
static int look_aside_at(struct place *p, unsigned number, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) blob = {0};
    struct sl_error why = {0};
    SL_AUTO_FREE char *url = sl_lookaside_url(p->lookaside, p->repository, p->digest, number);
    if (!url)
        return sl_error_oom(err);
    int r = read_lookaside(p, url, &blob, &why);
    if (r < 0)
        r = skip_malformed(p, url, r, &why, err);
    else if (r > 0)
        r = take_blob(p, url, sl_bytes_span(&blob), err);
    else
        return 0;
    return r < 0 ? r : 1;
}

static int look_aside(struct place *p, struct sl_error *err)
{
    int r = p->repository ? 1 : 0;
    for (unsigned number = 1; r == 1 && number <= SL_SIGNATURES_MAX; number++) {
        r = check_stop(p, err);
        if (r == 0)
            r = look_aside_at(p, number, err);
    }
    return r < 0 ? r : 0;
}

/* A registry that keeps simple signatures itself is asked in the place of the lookaside. */
static int look_for_simple(struct place *p, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) list = {0};
    int r = sl_attachment_extension(p->search->source, p->digest, SL_SIGNATURE_EXTENSION_MAX, &list,
                                    err);
    if (r == 0)
        return look_aside(p, err);
    if (r > 0)
        r = sl_signatures_from_extension(sl_bytes_span(&list), "the registry's signature",
                                         &p->found, err);
    return r < 0 ? r : 0;
}

/* ---- cosign's tag ---- */

/* Copies the annotations a signature is made of. -E2BIG when they are too long. */
static int copy_annotations(const struct sl_descriptor *layer, struct sl_signature *ret,
                            struct sl_error *err)
{
    char **field = NULL;
    const char *name;
    size_t sum = 0;
    for (size_t i = 0; (name = sl_signature_annotation(ret, i, &field)) != NULL; i++) {
        const char *value = sl_descriptor_annotation(layer, name);
        size_t len = value ? strlen(value) : 0;
        if (len > SL_SIGNATURE_ANNOTATIONS_MAX - sum)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d bytes of annotations",
                                SL_SIGNATURE_ANNOTATIONS_MAX);
        sum += len;
        *field = value ? strdup(value) : NULL;
        if (value && !*field)
            return sl_error_oom(err);
    }
    return 0;
}

/* 1: *ret is whole; 0: its payload is not there. */
static int fetch_cosign(struct place *p, const struct sl_descriptor *layer,
                        struct sl_signature *ret, struct sl_error *err)
{
    int r = copy_annotations(layer, ret, err);
    if (r < 0)
        return r;
    return sl_attachment_blob(p->search->source, layer, SL_SIGNATURE_PAYLOAD_MAX, &ret->bytes, err);
}

static int take_cosign_layer(struct place *p, const char *tag, const struct sl_artifact *artifact,
                             size_t i, struct sl_error *err)
{
    struct sl_signature signature = {.kind = SL_SIGNATURE_COSIGN};
    struct sl_error why = {0};
    signature.where = sl_strf("%s, layer %zu", tag, i + 1);
    if (!signature.where)
        return sl_error_oom(err);
    int r = fetch_cosign(p, &artifact->layers[i], &signature, &why);
    if (r > 0)
        return keep(p, &signature, err);
    if (r < 0)
        r = skip_malformed(p, signature.where, r, &why, err);
    sl_signature_done(&signature);
    return r;
}

/* Each layer of that type is a signature; others are other things. */
static int take_cosign_layers(struct place *p, const char *tag, const struct sl_artifact *artifact,
                              struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < artifact->n_layers; i++) {
        r = check_stop(p, err);
        if (r == 0 && p->found.n < SL_SIGNATURES_MAX &&
            strcmp(artifact->layers[i].media_type, cosign_layer_type) == 0)
            r = take_cosign_layer(p, tag, artifact, i, err);
        else
            p->found.n_others++;
    }
    return r;
}

static int look_at_tag(struct place *p, struct sl_error *err)
{
    SL_AUTO_DONE(sl_image_document) doc = {0};
    SL_AUTO(sl_artifact) artifact = NULL;
    struct sl_error why = {0};
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(p->digest, hex);
    SL_AUTO_FREE char *tag = sl_strf("%s-%s.sig", sl_digest_alg_name(p->digest->alg), hex);
    if (!tag)
        return sl_error_oom(err);
    int r = sl_attachment_by_tag(p->search->source, tag, &doc, &why);
    if (r == 0)
        return 0;
    if (r > 0)
        r = sl_artifact_parse(sl_bytes_span(&doc.bytes), &artifact, &why);
    return r < 0 ? skip_malformed(p, tag, r, &why, err) : take_cosign_layers(p, tag, artifact, err);
}

/* ---- bundles ---- */

static bool is_bundle_type(const char *type)
{
    return strncmp(type, bundle_type, strlen(bundle_type)) == 0;
}

/* Whoever lists a referrer may say what he likes: its own manifest must say the same. */
static int check_bundle_artifact(const struct place *p, const struct sl_artifact *artifact,
                                 struct sl_error *err)
{
    if (!is_bundle_type(artifact->artifact_type))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "its manifest is of type '%.100s'",
                            artifact->artifact_type);
    if (!artifact->has_subject || !sl_digest_is_equal(&artifact->subject, p->digest))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "its subject is another manifest");
    if (artifact->n_layers != 1 || !is_bundle_type(artifact->layers[0].media_type))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "it is not one bundle");
    return 0;
}

/* 1: *ret has the bundle; 0: it is not there any more. */
static int fetch_bundle(struct place *p, const struct sl_referrer *referrer, struct sl_bytes *ret,
                        struct sl_error *err)
{
    SL_AUTO_DONE(sl_image_document) doc = {0};
    SL_AUTO(sl_artifact) artifact = NULL;
    int r = sl_attachment_by_digest(p->search->source, &referrer->descriptor.digest, &doc, err);
    if (r <= 0)
        return r;
    r = sl_artifact_parse(sl_bytes_span(&doc.bytes), &artifact, err);
    if (r >= 0)
        r = check_bundle_artifact(p, artifact, err);
    if (r < 0)
        return r;
    return sl_attachment_blob(p->search->source, &artifact->layers[0], SL_SIGNATURE_BUNDLE_MAX, ret,
                              err);
}

static int take_bundle(struct place *p, const struct sl_referrer *referrer, struct sl_error *err)
{
    struct sl_signature signature = {.kind = SL_SIGNATURE_BUNDLE};
    struct sl_error why = {0};
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&referrer->descriptor.digest, text);
    signature.where = sl_strf("referrer %s", text);
    if (!signature.where)
        return sl_error_oom(err);
    int r = fetch_bundle(p, referrer, &signature.bytes, &why);
    if (r > 0)
        return keep(p, &signature, err);
    if (r < 0)
        r = skip_malformed(p, signature.where, r, &why, err);
    sl_signature_done(&signature);
    return r;
}

static int look_at_referrers(struct place *p, struct sl_error *err)
{
    SL_AUTO_DONE(sl_referrers) referrers = {0};
    int r = sl_attachment_referrers(p->search->source, p->digest, &referrers, err);
    for (size_t i = 0; r >= 0 && i < referrers.n; i++) {
        r = check_stop(p, err);
        if (r == 0 && is_bundle_type(referrers.items[i].artifact_type))
            r = take_bundle(p, &referrers.items[i], err);
        else
            p->found.n_others++;
    }
    return r < 0 ? r : 0;
}

/* ---- all places ---- */

static void *run(void *arg)
{
    struct place *p = arg;
    p->result = p->look(p, &p->error);
    return NULL;
}

/* The first that could not be read, and the first that was no signature. */
static void tell_why(const struct place *p, struct sl_error *failure, struct sl_error *hint)
{
    if (p->result < 0 && failure->code == SL_OK)
        *failure = p->error;
    if (hint->code == SL_OK)
        *hint = p->hint;
}

static void log_place(const struct place *p)
{
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(p->digest, digest);
    sl_log(SL_LOG_DEBUG, "%s of %s: %zu signatures, %zu other attachments%s%s", p->name, digest,
           p->found.n, p->found.n_others, p->result < 0 ? ": " : "",
           p->result < 0 ? p->error.msg : "");
}

/* Everything that was found moves to *ret. */
static int take_found(struct place *p, struct sl_signatures *ret, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < p->found.n && r == 0; i++)
        r = sl_signatures_add(ret, &p->found.items[i], err);
    ret->n_others += p->found.n_others;
    if (r == 0 && p->result < 0 && p->error.errnum == ENOMEM)
        return sl_error_oom(err);
    if (p->is_simple)
        tell_why(p, &ret->simple_failure, &ret->simple_hint);
    if (p->is_sigstore)
        tell_why(p, &ret->sigstore_failure, &ret->sigstore_hint);
    return r;
}

static int look_everywhere(struct place *places, size_t n, struct sl_signatures *ret,
                           struct sl_error *err)
{
    size_t started = 0;
    int r = 0;
    for (; started < n && r == 0; started++)
        r = -pthread_create(&places[started].thread, NULL, run, &places[started]);
    if (r < 0) {
        started--;
        r = sl_error_system(err, -r, "start a thread");
    }
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(places[i].thread, NULL);
    for (size_t i = 0; i < started; i++) {
        log_place(&places[i]);
        if (r == 0)
            r = take_found(&places[i], ret, err);
        sl_signatures_done(&places[i].found);
    }
    return r;
}

/* In the order in which what they hold is to be tried. skopeo writes sigstore signatures into the
 * lookaside too. */
static size_t list_places(const struct sl_signature_search *search,
                          const struct sl_lookaside *lookaside, struct place places[PLACES_MAX])
{
    const struct sl_judged_image *image = search->image;
    bool is_sigstore = search->needs.sigstore;
    bool has_lookaside = *lookaside->read_url != '\0';
    const struct {
        int (*look)(struct place *place, struct sl_error *err);
        const char *name;
        bool is_simple, is_sigstore, is_needed;
    } kinds[] = {
        {look_for_simple, "lookaside or registry's list", true, has_lookaside,
         search->needs.simple},
        {look_aside, "lookaside", false, true,
         is_sigstore && !search->needs.simple && has_lookaside},
        {look_at_tag, "cosign's tag", false, true, is_sigstore && lookaside->use_attachments},
        {look_at_referrers, "referrers", false, true, is_sigstore && lookaside->use_attachments},
    };
    size_t n = 0;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (int i = 0; kinds[k].is_needed && i < 1 + image->has_index; i++)
            places[n++] =
                (struct place){.search = search,
                               .digest = i ? &image->index_digest : &image->manifest_digest,
                               .look = kinds[k].look,
                               .name = kinds[k].name,
                               .is_simple = kinds[k].is_simple,
                               .is_sigstore = kinds[k].is_sigstore};
    return n;
}

static bool is_in_registry(const char *name)
{
    return strncmp(name, "oci:", 4) != 0;
}

/* Where people can look for what they forgot. */
static void hint_at_configuration(const struct sl_lookaside *lookaside, struct sl_signatures *found)
{
    bool is_default = strcmp(lookaside->read_url, SL_LOOKASIDE_DEFAULT) == 0;
    if (*lookaside->read_url && found->simple_hint.code == SL_OK)
        (void)sl_error_set(&found->simple_hint, SL_E_POLICY, ENOENT, "none below %.128s%s",
                           lookaside->read_url,
                           is_default ? "; registries.d names no lookaside for it" : "");
    if (!lookaside->use_attachments && found->sigstore_hint.code == SL_OK)
        (void)sl_error_set(&found->sigstore_hint, SL_E_POLICY, ENOENT,
                           "registries.d says use-sigstore-attachments: false for it");
}

int sl_signatures_discover(const struct sl_signature_search *search, struct sl_signatures *ret,
                           struct sl_error *err)
{
    SL_AUTO(sl_reference) ref = NULL;
    SL_AUTO_DONE(sl_signatures) found = {0};
    struct sl_lookaside lookaside = {.read_url = "", .use_attachments = true};
    struct place places[PLACES_MAX];
    int r = 0;
    if (is_in_registry(search->image->name)) {
        r = sl_reference_parse(search->image->name, &ref, err);
        if (r == 0)
            r = sl_registries_d_find(search->registries_d, search->image->name, &lookaside, err);
    }
    if (r < 0)
        return r;
    size_t n = list_places(search, &lookaside, places);
    for (size_t i = 0; i < n; i++) {
        places[i].lookaside = lookaside.read_url;
        places[i].repository = ref ? ref->repository : NULL;
    }
    r = look_everywhere(places, n, &found, err);
    if (r < 0)
        return r;
    hint_at_configuration(&lookaside, &found);
    *ret = found;
    found = (struct sl_signatures){0};
    return 0;
}
