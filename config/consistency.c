/* SPDX-License-Identifier: Apache-2.0 */
/* Values that do not go together: what would fail every pull or open a door is an error, the rest a
 * warning. */
#include "check.h"
#include "sources.h"

#include "sluice/core/json.h"
#include "sluice/lookaside.h"

#include <stdlib.h>
#include <string.h>

static const char *name_of(enum sl_config_id id)
{
    return sl_config_key_at(id)->name;
}

static int bad(const struct sl_config_draft *draft, enum sl_config_id id, struct sl_error *err,
               const char *why)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: %s: %s", sl_config_where(draft, id),
                        name_of(id), why);
}

/* Both say the same thing: loser is as if it had not been said. */
static int settle(struct sl_config_draft *draft, enum sl_config_id winner, enum sl_config_id loser,
                  struct sl_error *err)
{
    if (!sl_config_is_said(draft, winner) || !sl_config_is_said(draft, loser))
        return 0;
    int r = sl_config_warn(draft, err, "%s: %s: not used, since %s wins (%s)",
                           sl_config_where(draft, loser), name_of(loser), name_of(winner),
                           sl_config_where(draft, winner));
    SL_AUTO_FREE char *where =
        sl_strf("%s (not used: %s wins)", sl_config_where(draft, loser), name_of(winner));
    if (!where)
        return sl_error_oom(err);
    return r < 0 ? r : sl_config_drop(draft, loser, where, err);
}

static int check_policy(struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config *v = &draft->loaded->values;
    if (v->image_security_policy_uri || v->image_security_policy)
        return 0;
    if (v->policy_digest)
        return bad(draft, CONFIG_POLICY_DIGEST, err,
                   "there is no policy that could have this digest: say image_security_policy_uri "
                   "or image_security_policy in [image]");
    if (v->require_signed)
        return bad(draft, CONFIG_REQUIRE_SIGNED, err,
                   "there is no policy that could demand a signature: say "
                   "image_security_policy_uri or image_security_policy in [image]");
    if (v->require_policy)
        return sl_config_warn(draft, err, "%s: %s: there is no policy, so nothing will be pulled",
                              sl_config_where(draft, CONFIG_REQUIRE_POLICY),
                              name_of(CONFIG_REQUIRE_POLICY));
    return 0;
}

/* ---- documents within the document ---- */

/* What a text says is judged by each pull, which has its keys; that it is none is told at once, so
 * that a reload cannot replace a good one by it. */
static int check_policy_text(const struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config *v = &draft->loaded->values;
    SL_AUTO(sl_json_doc) doc = NULL;
    if (!v->image_security_policy)
        return 0;
    int r = sl_json_parse(sl_span_of(v->image_security_policy), name_of(CONFIG_POLICY),
                          /* limits= */ NULL, &doc, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", sl_config_where(draft, CONFIG_POLICY)) : 0;
}

static int check_sigstore_text(const struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config *v = &draft->loaded->values;
    SL_AUTO(sl_registries_d) lookaside = NULL;
    if (!v->sigstore_config)
        return 0;
    int r = sl_registries_d_parse(sl_span_of(v->sigstore_config), name_of(CONFIG_SIGSTORE),
                                  v->policy_dialect_image_rs, &lookaside, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", sl_config_where(draft, CONFIG_SIGSTORE)) : 0;
}

/* ---- addresses ---- */

static bool is_same_address(const char *a, const char *b)
{
    return a && b && *a && strcmp(sl_config_address_tail(a), sl_config_address_tail(b)) == 0;
}

static int check_addresses(const struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config *v = &draft->loaded->values;
    if (is_same_address(v->upstream, v->socket))
        return bad(draft, CONFIG_UPSTREAM, err,
                   "is the socket that is served here: calls would go round in a circle");
    if (is_same_address(v->control, v->socket))
        return bad(draft, CONFIG_CONTROL, err, "is the socket of the service");
    if (is_same_address(v->metrics, v->socket) || is_same_address(v->metrics, v->control))
        return bad(draft, CONFIG_METRICS, err, "is another socket of the service");
    for (size_t i = 0; v->listen && v->listen[i]; i++) {
        if (is_same_address(v->upstream, v->listen[i]))
            return bad(draft, CONFIG_UPSTREAM, err, "is one of those that are listened on");
        if (is_same_address(v->listen[i], v->socket) || is_same_address(v->listen[i], v->control) ||
            is_same_address(v->listen[i], v->metrics))
            return bad(draft, CONFIG_LISTEN, err, "one of them is another socket of the service");
    }
    return 0;
}

/* A file that only root can open. Everything else, abstract sockets too, belongs to a network, and
 * containers of a guest may share its. */
static bool is_private(const char *address)
{
    return strstr(address, "unix:///") != NULL;
}

static int check_reach(struct sl_config_draft *draft, enum sl_config_id id, const char *address,
                       struct sl_error *err)
{
    if (is_private(address))
        return 0;
    return sl_config_warn(draft, err,
                          "%s: %s: %s can be reached by whatever shares this network, also by "
                          "containers: a unix:///PATH cannot",
                          sl_config_where(draft, id), name_of(id), address);
}

static int check_all_reach(struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config *v = &draft->loaded->values;
    if (v->control && *v->control && !is_private(v->control))
        return bad(draft, CONFIG_CONTROL, err,
                   "whatever shares this network, also a container, could cancel pulls: say "
                   "unix:///PATH, or \"\" for none");
    int r = check_reach(draft, CONFIG_SOCKET, v->socket, err);
    for (size_t i = 0; r == 0 && v->listen && v->listen[i]; i++)
        r = check_reach(draft, CONFIG_LISTEN, v->listen[i], err);
    return r;
}

/* ---- the key broker ---- */

static bool is_kbs(const char *uri)
{
    return uri && strncmp(uri, "kbs", 3) == 0;
}

static bool needs_broker(const struct sl_config *v)
{
    return is_kbs(v->image_security_policy_uri) || is_kbs(v->sigstore_config_uri) ||
           is_kbs(v->authenticated_registry_credentials_uri) ||
           is_kbs(v->registry_configuration_uri) || v->n_credentials > 0;
}

static int check_broker(struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config *v = &draft->loaded->values;
    const char *where = sl_config_where(draft, CONFIG_KBC_NAME);
    bool is_offline = strcmp(v->kbc_name, "offline_fs_kbc") == 0;
    bool is_sample = strcmp(v->kbc_name, "sample_kbc") == 0;
    int r = 0;
    if (!is_offline && !is_sample && !v->upstream && needs_broker(v))
        r = sl_config_warn(draft, err,
                           "%s: kbc.name: %s is not spoken here, and resources are asked of it: "
                           "say in sluice.upstream which hub does",
                           where, v->kbc_name);
    if (r == 0 && is_sample && !v->unsafe_sample_key)
        r = sl_config_warn(draft, err,
                           "%s: kbc.name: sample_kbc, whose key everybody knows, answers nobody "
                           "without sluice.unsafe_sample_key",
                           where);
    if (r == 0 && !is_offline && (v->offline_keys || v->offline_resources))
        r = sl_config_warn(draft, err,
                           "%s: kbc.name: %s does not read sluice.offline_keys and "
                           "sluice.offline_resources",
                           where, v->kbc_name);
    return r;
}

static int check_proxy(struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config *v = &draft->loaded->values;
    if (!v->no_proxy || v->https_proxy || v->http_proxy)
        return 0;
    return sl_config_warn(draft, err, "%s: %s: without effect, since there is no proxy",
                          sl_config_where(draft, CONFIG_NO_PROXY), name_of(CONFIG_NO_PROXY));
}

int sl_config_check_all(struct sl_config_draft *draft, struct sl_error *err)
{
    int r = settle(draft, CONFIG_POLICY_URI, CONFIG_POLICY, err);
    if (r == 0)
        r = settle(draft, CONFIG_SIGSTORE_URI, CONFIG_SIGSTORE, err);
    if (r == 0)
        r = settle(draft, CONFIG_REGISTRIES, CONFIG_REGISTRIES_URI, err);
    if (r == 0)
        r = check_policy(draft, err);
    if (r == 0)
        r = check_policy_text(draft, err);
    if (r == 0)
        r = check_sigstore_text(draft, err);
    if (r == 0)
        r = check_addresses(draft, err);
    if (r == 0)
        r = check_all_reach(draft, err);
    if (r == 0)
        r = check_broker(draft, err);
    return r < 0 ? r : check_proxy(draft, err);
}
