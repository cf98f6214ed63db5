/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL has no other way to check OAEP padding without the private key. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "pkcs11_token.h"

#include "aes_open.h"
#include "pkcs11_key_file.h"
#include "pkcs11_policy.h"
#include "sluice/core/secret.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_MAX = 64,
    PIN_MAX = 256,               /* bytes of a pin-source file */
    MODULUS_MAX = 16 * 1024 / 8, /* bytes */
    EXPONENT_MAX = 8,
};

/* Loaded and initialized, from the first operation with the key to the end of the key. */
struct module {
    CK_FUNCTION_LIST *functions;
    bool is_initialized;
};

struct sl_pkcs11_key {
    P11KitUri *uri;
    char *path; /* of the module */
    char *pin;  /* from sl_secret_alloc(); NULL: none */
    struct module *module;
};

/* ---- the module ---- */

/* p11-kit counts who uses a module, but between its last user's goodbye and C_Finalize() it lets
 * go of its lock: somebody who came in between would be left with a module that has been finalized.
 * So nobody comes while another goes. What lies between is not locked. */
static pthread_mutex_t coming_and_going = PTHREAD_MUTEX_INITIALIZER;

static void unload(struct module *module)
{
    pthread_mutex_lock(&coming_and_going);
    if (module->is_initialized)
        (void)p11_kit_module_finalize(module->functions);
    if (module->functions)
        p11_kit_module_release(module->functions);
    pthread_mutex_unlock(&coming_and_going);
    *module = (struct module){0};
}

static int token_failed(struct sl_error *err, CK_RV rv, const char *what)
{
    return sl_error_set(err, SL_E_AUTH, EIO, "PKCS#11: %s: %s", what, p11_kit_strerror(rv));
}

static int load_locked(const struct sl_pkcs11_key *key, struct sl_error *err)
{
    struct module *module = key->module;
    if (!module->functions)
        module->functions = p11_kit_module_load(key->path, 0);
    if (!module->functions)
        return sl_error_set(err, SL_E_SYSTEM, ENOEXEC, "PKCS#11 module %s cannot be loaded",
                            key->path);
    CK_RV rv = module->is_initialized ? CKR_OK : p11_kit_module_initialize(module->functions);
    module->is_initialized = rv == CKR_OK;
    return rv == CKR_OK ? 0 : token_failed(err, rv, key->path);
}

/* By the first who needs it. */
static int load_module(const struct sl_pkcs11_key *key, CK_FUNCTION_LIST **ret,
                       struct sl_error *err)
{
    pthread_mutex_lock(&coming_and_going);
    int r = load_locked(key, err);
    if (r == 0)
        *ret = key->module->functions;
    pthread_mutex_unlock(&coming_and_going);
    return r;
}

/* ---- the key file ---- */

struct sl_pkcs11_key *sl_pkcs11_key_free(struct sl_pkcs11_key *key)
{
    if (!key)
        return NULL;
    int saved = errno;
    if (key->module)
        unload(key->module);
    free(key->module);
    p11_kit_uri_free(key->uri);
    free(key->path);
    sl_secret_release(key->pin);
    free(key);
    errno = saved;
    return NULL;
}

static int parse_uri(const char *text, P11KitUri **ret, struct sl_error *err)
{
    P11KitUri *uri = p11_kit_uri_new();
    if (!uri)
        return sl_error_oom(err);
    int r = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
    *ret = uri;
    return r == P11_KIT_URI_OK
               ? 0
               : sl_error_set(err, SL_E_FORMAT, EINVAL, "PKCS#11 URI: %s", p11_kit_uri_message(r));
}

/* What says which key, and on which token. */
static int check_uri(P11KitUri *uri, struct sl_error *err)
{
    CK_TOKEN_INFO_PTR token = p11_kit_uri_get_token_info(uri);
    if (!p11_kit_uri_get_attribute(uri, CKA_ID) && !p11_kit_uri_get_attribute(uri, CKA_LABEL))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "PKCS#11 URI: neither id nor object");
    if (p11_kit_uri_get_slot_id(uri) == (CK_SLOT_ID)-1 && !token->label[0] &&
        !token->serialNumber[0])
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "PKCS#11 URI: neither token nor slot-id");
    return 0;
}

static int keep_pin(struct sl_pkcs11_key *key, const char *pin, struct sl_error *err)
{
    size_t len = strcspn(pin, "\r\n");
    key->pin = sl_secret_alloc(len + 1);
    if (!key->pin)
        return sl_error_oom(err);
    memcpy(key->pin, pin, len);
    return 0;
}

static int read_pin(struct sl_pkcs11_key *key, const char *source, struct sl_error *err)
{
    if (strncmp(source, "file:", 5) == 0)
        source += 5;
    if (*source != '/')
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "PKCS#11 URI: pin-source must be file:/PATH");
    struct sl_bytes raw = {0};
    int r = sl_read_file(AT_FDCWD, source, PIN_MAX, &raw, err);
    if (r < 0)
        return sl_error_wrap(err, r, "PKCS#11 pin-source");
    r = keep_pin(key, (const char *)raw.data, err);
    sl_bytes_wipe(&raw);
    return r;
}

/* p11-kit would only free the PIN: wipe its copy. */
static int take_pin(struct sl_pkcs11_key *key, struct sl_error *err)
{
    const char *value = p11_kit_uri_get_pin_value(key->uri);
    const char *source = p11_kit_uri_get_pin_source(key->uri);
    if (!value)
        return source ? read_pin(key, source, err) : 0;
    int r = keep_pin(key, value, err);
    sl_wipe((char *)value, strlen(value));
    return r;
}

static int apply_env(const struct sl_pkcs11_key_file *file, struct sl_error *err)
{
    for (size_t i = 0; i < file->n_env; i++)
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): the header wants it before there are threads */
        if (setenv(file->env[i].name, file->env[i].value, /* overwrite= */ 1) < 0)
            return sl_error_system(err, errno, "PKCS11 key file: module.env");
    return 0;
}

static int find_module(struct sl_pkcs11_key *key, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pkcs11_policy) policy = {0};
    int r = sl_pkcs11_policy_load(&policy, err);
    return r < 0 ? r
                 : sl_pkcs11_policy_find(&policy, p11_kit_uri_get_module_path(key->uri),
                                         p11_kit_uri_get_module_name(key->uri), &key->path, err);
}

int sl_pkcs11_key_new(struct sl_span text, struct sl_pkcs11_key **ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pkcs11_key_file) file = {0};
    SL_AUTO(sl_pkcs11_key) key = calloc(1, sizeof(*key));
    if (!key)
        return sl_error_oom(err);
    key->module = calloc(1, sizeof(*key->module));
    if (!key->module)
        return sl_error_oom(err);
    int r = sl_pkcs11_key_file_parse(text, &file, err);
    if (r == 0)
        r = parse_uri(file.uri, &key->uri, err);
    if (r == 0)
        r = check_uri(key->uri, err);
    if (r == 0)
        r = take_pin(key, err);
    if (r == 0)
        r = find_module(key, err);
    if (r == 0)
        r = apply_env(&file, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&key);
    return 0;
}

/* ---- sessions ---- */

struct session {
    CK_FUNCTION_LIST *module; /* of the key */
    CK_SESSION_HANDLE handle;
    bool is_open;
};

/* Closing the last session logs out; logging out by hand would do so to other threads too. */
static void session_done(struct session *session)
{
    if (session->is_open)
        (void)session->module->C_CloseSession(session->handle);
}
SL_DEFINE_AUTO_DONE(session, session_done)

static bool is_slot(const struct sl_pkcs11_key *key, CK_FUNCTION_LIST *module, CK_SLOT_ID slot)
{
    CK_TOKEN_INFO info;
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(key->uri);
    return (wanted == (CK_SLOT_ID)-1 || wanted == slot) &&
           module->C_GetTokenInfo(slot, &info) == CKR_OK &&
           p11_kit_uri_match_token_info(key->uri, &info);
}

static int find_slot(const struct sl_pkcs11_key *key, CK_FUNCTION_LIST *module, CK_SLOT_ID *ret,
                     struct sl_error *err)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    CK_RV rv = module->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return token_failed(err, rv, "list of slots");
    for (CK_ULONG i = 0; i < n; i++)
        if (is_slot(key, module, slots[i])) {
            *ret = slots[i];
            return 0;
        }
    return sl_error_set(err, SL_E_AUTH, ENODEV, "PKCS#11: no token fits the URI in module %s",
                        key->path);
}

/* Another thread that is logged in has logged us in too. */
static int log_in(const struct session *session, const char *pin, struct sl_error *err)
{
    CK_RV rv = session->module->C_Login(session->handle, CKU_USER, (CK_UTF8CHAR_PTR)pin,
                                        (CK_ULONG)strlen(pin));
    switch (rv) {
    case CKR_OK:
    case CKR_USER_ALREADY_LOGGED_IN:
        return 0;
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
        return sl_error_set(err, SL_E_AUTH, EKEYREJECTED, "PKCS#11: wrong PIN");
    default:
        return token_failed(err, rv, "login");
    }
}

static int open_session(const struct sl_pkcs11_key *key, bool is_private, struct session *session,
                        struct sl_error *err)
{
    CK_SLOT_ID slot = 0;
    if (is_private && !key->pin)
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "PKCS#11 URI: a private key needs pin-value or pin-source");
    int r = load_module(key, &session->module, err);
    if (r == 0)
        r = find_slot(key, session->module, &slot, err);
    if (r < 0)
        return r;
    CK_RV rv =
        session->module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session->handle);
    if (rv != CKR_OK)
        return token_failed(err, rv, "session");
    session->is_open = true;
    return key->pin ? log_in(session, key->pin, err) : 0;
}

/* The one object of this class with the id and label of the URI. */
static int find_object(const struct sl_pkcs11_key *key, const struct session *session,
                       CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret, struct sl_error *err)
{
    CK_ATTRIBUTE template[3] = {{CKA_CLASS, &class, sizeof(class)}};
    CK_ULONG n = 1;
    const CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(key->uri, CKA_ID);
    const CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(key->uri, CKA_LABEL);
    if (id)
        template[n++] = *id;
    if (label)
        template[n++] = *label;
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n_found = 0;
    CK_RV rv = session->module->C_FindObjectsInit(session->handle, template, n);
    if (rv == CKR_OK) {
        rv = session->module->C_FindObjects(session->handle, found, 2, &n_found);
        (void)session->module->C_FindObjectsFinal(session->handle);
    }
    if (rv != CKR_OK)
        return token_failed(err, rv, "search");
    const char *what = class == CKO_PRIVATE_KEY ? "private" : "public";
    if (n_found != 1)
        return sl_error_set(err, SL_E_AUTH, n_found ? ENOTUNIQ : ENOKEY,
                            "PKCS#11: %s %s key on the token fits the URI",
                            n_found ? "more than one" : "no", what);
    *ret = found[0];
    return 0;
}

/* ---- the public key ---- */

static int make_public(struct sl_span modulus, struct sl_span exponent, EVP_PKEY **ret,
                       struct sl_error *err)
{
    SL_AUTO(bignum_st) n = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
    SL_AUTO(bignum_st) e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);
    SL_AUTO(ossl_param_bld_st) bld = OSSL_PARAM_BLD_new();
    SL_AUTO(evp_pkey_ctx_st) ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM *params = NULL;
    int ok = n && e && bld && ctx && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) &&
             OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) &&
             (params = OSSL_PARAM_BLD_to_param(bld)) && EVP_PKEY_fromdata_init(ctx) == 1 &&
             EVP_PKEY_fromdata(ctx, ret, EVP_PKEY_PUBLIC_KEY, params) == 1;
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return ok ? 0 : sl_error_set(err, SL_E_FORMAT, EBADMSG, "PKCS#11: unusable RSA public key");
}

int sl_pkcs11_read_public(const struct sl_pkcs11_key *key, EVP_PKEY **ret, struct sl_error *err)
{
    SL_AUTO_DONE(session) session = {0};
    CK_OBJECT_HANDLE object = 0;
    int r = open_session(key, /* is_private= */ false, &session, err);
    if (r == 0)
        r = find_object(key, &session, CKO_PUBLIC_KEY, &object, err);
    if (r < 0)
        return r;
    uint8_t modulus[MODULUS_MAX];
    uint8_t exponent[EXPONENT_MAX];
    CK_ATTRIBUTE rsa[] = {{CKA_MODULUS, modulus, sizeof(modulus)},
                          {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}};
    CK_RV rv = session.module->C_GetAttributeValue(session.handle, object, rsa, 2);
    if (rv != CKR_OK)
        return token_failed(err, rv, "RSA public key");
    return make_public((struct sl_span){modulus, rsa[0].ulValueLen},
                       (struct sl_span){exponent, rsa[1].ulValueLen}, ret, err);
}

/* ---- decryption ---- */

static CK_RV start_oaep(const struct session *session, CK_OBJECT_HANDLE object, bool is_sha1)
{
    /* By position: hash, mask, source of the label; p11-kit 0.25 has renamed the members. */
    CK_RSA_PKCS_OAEP_PARAMS params = {is_sha1 ? CKM_SHA_1 : CKM_SHA256,
                                      is_sha1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED,
                                      NULL, 0};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &params, sizeof(params)};
    return session->module->C_DecryptInit(session->handle, &mechanism, object);
}

static CK_RV start_bare(const struct session *session, CK_OBJECT_HANDLE object)
{
    CK_MECHANISM mechanism = {CKM_RSA_X_509, NULL, 0};
    return session->module->C_DecryptInit(session->handle, &mechanism, object);
}

/* Room for whatever comes out of one block. */
static int run_decrypt(const struct session *session, struct sl_span text, struct sl_bytes *ret,
                       struct sl_error *err)
{
    struct sl_bytes out = {.data = malloc(text.len + 1), .cap = text.len + 1};
    CK_ULONG len = text.len;
    if (!out.data)
        return sl_error_oom(err);
    CK_RV rv = session->module->C_Decrypt(session->handle, (CK_BYTE_PTR)text.data, text.len,
                                          out.data, &len);
    if (rv != CKR_OK || len > text.len) {
        out.len = text.len;
        sl_bytes_wipe(&out);
        return sl_open_failed(err);
    }
    out.len = len;
    out.data[len] = 0;
    *ret = out;
    return 0;
}

/* In constant time, by OpenSSL. block: what bare RSA gave, of a key of size bytes. */
static int strip_oaep(const char *digest, struct sl_span block, size_t size, struct sl_bytes *ret,
                      struct sl_error *err)
{
    const EVP_MD *md = EVP_get_digestbyname(digest);
    struct sl_bytes out = {.data = malloc(size + 1), .cap = size + 1, .len = size};
    if (!out.data)
        return sl_error_oom(err);
    int n = RSA_padding_check_PKCS1_OAEP_mgf1(out.data, (int)size, block.data, (int)block.len,
                                              (int)size, NULL, 0, md, md);
    if (n < 0) {
        sl_bytes_wipe(&out);
        return sl_open_failed(err);
    }
    out.len = (size_t)n;
    out.data[n] = 0;
    *ret = out;
    return 0;
}

static int open_bare(const struct session *session, CK_OBJECT_HANDLE object, const char *digest,
                     struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    CK_RV rv = start_bare(session, object);
    if (rv != CKR_OK)
        return token_failed(err, rv, "neither RSA-OAEP with this hash nor bare RSA");
    struct sl_bytes block = {0};
    int r = run_decrypt(session, text, &block, err);
    if (r == 0)
        r = strip_oaep(digest, sl_bytes_span(&block), text.len, ret, err);
    sl_bytes_wipe(&block);
    return r;
}

int sl_pkcs11_oaep_open(const struct sl_pkcs11_key *key, const char *digest, struct sl_span text,
                        struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(session) session = {0};
    CK_OBJECT_HANDLE object = 0;
    if (text.len == 0 || text.len > MODULUS_MAX)
        return sl_open_failed(err);
    int r = open_session(key, /* is_private= */ true, &session, err);
    if (r == 0)
        r = find_object(key, &session, CKO_PRIVATE_KEY, &object, err);
    if (r < 0)
        return r;
    CK_RV rv = start_oaep(&session, object, strcmp(digest, "sha1") == 0);
    switch (rv) {
    case CKR_OK:
        return run_decrypt(&session, text, ret, err);
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_ARGUMENTS_BAD:
        return open_bare(&session, object, digest, text, ret, err);
    default:
        return token_failed(err, rv, "decryption");
    }
}
