/* SPDX-License-Identifier: Apache-2.0 */
#include "image_judgement.h"

#include "signature_discovery.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For all signatures of all places: layers that have passed wait for them, and hold their locks. */
enum { SEARCH_MS_MAX = 5 * 60 * 1000 };

struct sl_judgement {
    struct sl_judgement_options options;
    char *name;
    struct sl_judged_image image;
    struct sl_signature_needs needs;
    pthread_t thread;
    bool is_running; /* there is a thread to join */
    atomic_bool stop, over;
    /* Valid once over is set. */
    int result;
    struct sl_error error;
    struct sl_approval *approval;
    struct sl_policy_verdict *verdict;
};

static int discover(struct sl_judgement *j, struct sl_signatures *ret, struct sl_error *err)
{
    const struct sl_visit *visit = j->options.visit;
    const struct sl_signature_search search = {.source = j->options.source,
                                               .registries_d = j->options.policy->registries_d,
                                               .image = &j->image,
                                               .needs = j->needs,
                                               .stop = &j->stop,
                                               .deadline_ms = sl_clock_ms() + SEARCH_MS_MAX};
    int r = 0;
    if (j->needs.simple || j->needs.sigstore)
        r = sl_signatures_discover(&search, ret, err);
    if (sl_visit_is_cancelled(visit) || atomic_load(&j->stop))
        return sl_cancel_error(err);
    return r;
}

static int judge(struct sl_judgement *j, struct sl_error *err)
{
    const struct sl_signature_policy *policy = j->options.policy->policy;
    SL_AUTO_DONE(sl_signatures) signatures = {0};
    if (!policy)
        return sl_approve_insecurely(&j->image, &j->approval, err);
    int r = discover(j, &signatures, err);
    if (r < 0)
        return r;
    return sl_signature_policy_judge(policy, &j->image, &signatures, &j->approval, &j->verdict,
                                     err);
}

static void *run(void *arg)
{
    struct sl_judgement *j = arg;
    const uint64_t one = 1;
    j->result = judge(j, &j->error);
    atomic_store(&j->over, true);
    ssize_t n = j->options.event_fd < 0 ? 0 : write(j->options.event_fd, &one, sizeof(one));
    (void)n;
    return NULL;
}

/* "oci:5000/x" is a layout, or an image of the registry oci:5000, which have different scopes. */
static int check_name(const struct sl_judgement_options *o, struct sl_error *err)
{
    static const char layout[] = "oci:";
    const char *name = sl_image_source_name(o->source);
    size_t len = strlen(layout);
    if (strncmp(name, layout, len) != 0 || strncmp(o->asked, layout, len) == 0)
        return 0;
    return sl_error_set(err, SL_E_POLICY, EPERM,
                        "Image policy rejected: Denied by policy: %.200s: a registry called oci "
                        "cannot be told from an OCI layout; use another name for the host",
                        name);
}

static int describe(struct sl_judgement *j, struct sl_error *err)
{
    const struct sl_resolved_image *image = j->options.image;
    j->name = strdup(sl_image_source_name(j->options.source));
    if (!j->name)
        return sl_error_oom(err);
    j->image = (struct sl_judged_image){.name = j->name,
                                        .manifest = sl_bytes_span(&image->manifest_json),
                                        .manifest_digest = image->manifest_digest,
                                        .has_index = image->has_index_digest,
                                        .index = sl_bytes_span(&image->index_json),
                                        .index_digest = image->index_digest};
    const struct sl_signature_policy *policy = j->options.policy->policy;
    if (!policy)
        return 0;
    int r = check_name(&j->options, err);
    return r < 0 ? r : sl_signature_policy_needs(policy, j->name, &j->needs, err);
}

int sl_judgement_start(const struct sl_judgement_options *options, struct sl_judgement **ret,
                       struct sl_error *err)
{
    SL_AUTO(sl_judgement) j = calloc(1, sizeof(*j));
    if (!j)
        return sl_error_oom(err);
    j->options = *options;
    int r = describe(j, err);
    if (r < 0)
        return r;
    if (j->needs.simple || j->needs.sigstore) {
        r = pthread_create(&j->thread, NULL, run, j);
        if (r)
            return sl_error_system(err, r, "start a thread");
        j->is_running = true;
    } else {
        (void)run(j); /* nobody is asked: it is over at once */
    }
    *ret = sl_steal(&j);
    return 0;
}

bool sl_judgement_is_over(const struct sl_judgement *j)
{
    return atomic_load(&j->over);
}

static void join(struct sl_judgement *j)
{
    if (j->is_running)
        (void)pthread_join(j->thread, NULL);
    j->is_running = false;
}

int sl_judgement_take(struct sl_judgement *j, struct sl_approval **ret, struct sl_error *err)
{
    join(j);
    if (j->result == 0 && j->approval) {
        *ret = sl_steal(&j->approval);
        return 0;
    }
    if (j->result >= 0)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "Image policy rejected: Denied by policy: nothing has allowed %.200s",
                            j->name);
    if (err)
        *err = j->error;
    return j->result;
}

struct sl_policy_verdict *sl_judgement_steal_verdict(struct sl_judgement *j)
{
    join(j);
    return sl_steal(&j->verdict);
}

struct sl_judgement *sl_judgement_free(struct sl_judgement *j)
{
    if (!j)
        return NULL;
    atomic_store(&j->stop, true);
    join(j);
    (void)sl_approval_free(j->approval);
    (void)sl_policy_verdict_free(j->verdict);
    free(j->name);
    free(j);
    return NULL;
}
