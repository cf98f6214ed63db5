/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by gpg with keys made here, good and bad, and what is said of each. */
#include "simple_signing.h"

#include "signature_payload.h"
#include "sluice/signature_write.h"

#include "assert_result.h"
#include "scratch_dir.h"

#include <fcntl.h>
#include <time.h>

#define NAME "registry.example/web/api:1.4"
#define MANIFEST "{\"schemaVersion\":2}"
#define PASSPHRASE "no secret"

static struct {
    struct scratch_dir dir;
    char *payload;
} world;

/* Which names a rule accepts is tested elsewhere. */
bool __wrap_sl_identity_accepts(const struct sl_identity_rule *rule, const char *image_name,
                                const char *signed_reference);
bool __wrap_sl_identity_accepts(const struct sl_identity_rule *rule, const char *image_name,
                                const char *signed_reference)
{
    (void)rule;
    return strcmp(image_name, signed_reference) == 0;
}

/* ---- gpg ---- */

/* A line for the shell, in the folder of the test. */
static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
    char *line = NULL;
    char *whole = NULL;
    va_list ap;
    va_start(ap, fmt);
    assert_true(vasprintf(&line, fmt, ap) > 0);
    va_end(ap);
    assert_true(asprintf(&whole, "cd %s && { %s; } >log 2>&1", world.dir.path, line) > 0);
    int status = system(whole); /* NOLINT(cert-env33-c,concurrency-mt-unsafe) */
    if (status != 0)
        fail_msg("%s: status %d", line, status);
    free(whole);
    free(line);
}

#define GPG "gpg --homedir home --batch --yes --no-tty --trust-model always "
#define SIGN GPG "-o %s -u %s "

/* A key of this user, whose public half is then NAME.pub. */
static void make_key(const char *name, const char *options, const char *algorithm,
                     const char *expires)
{
    run(GPG "%s --passphrase '' --pinentry-mode loopback --quick-gen-key %s@example.org %s sign %s",
        options, name, algorithm, expires);
    run(GPG "--export %s@example.org >%s.pub", name, name);
}

static void make_keys(void)
{
    run("mkdir -m 700 home");
    make_key("alice", "", "ed25519", "never");
    make_key("bob", "", "nistp256", "never");
    make_key("rsa", "", "rsa2048", "never");
    make_key("small", "", "rsa1024", "never");
    make_key("stranger", "", "ed25519", "never");
    make_key("old", "--faked-system-time 20200101T000000", "ed25519", "10d");
    make_key("dsa", "", "dsa2048", "never");
    make_key("koblitz", "", "secp256k1", "never");
    run(GPG "--passphrase '" PASSPHRASE "' --pinentry-mode loopback --quick-gen-key "
            "locked@example.org ed25519 sign never");
}

static char *fingerprint(const char *name, const char *type)
{
    char *text = NULL;
    run(GPG "--with-subkey-fingerprint --with-colons -k %s@example.org | awk -F: "
            "'$1 == \"%s\" {w = 1} $1 == \"fpr\" && w {print $10; exit}' | tr -d '\\n' >fpr",
        name, type);
    SL_AUTO_DONE(sl_bytes) b = {0};
    char *path = scratch_path(&world.dir, "fpr");
    assert_int_equal(sl_read_file(AT_FDCWD, path, 100, &b, NULL), 0);
    free(path);
    text = strdup((const char *)b.data);
    assert_int_equal(strlen(text), 40);
    return text;
}

/* ---- the verifier ---- */

static struct sl_bytes read_file(const char *name)
{
    struct sl_bytes b = {0};
    struct sl_error err = {0};
    char *path = scratch_path(&world.dir, name);
    assert_done(sl_read_file(AT_FDCWD, path, 1 << 20, &b, &err));
    free(path);
    return b;
}

static struct sl_judged_image image_of(const char *manifest)
{
    struct sl_judged_image image = {.name = NAME, .manifest = sl_span_of(manifest)};
    assert_int_equal(sl_digest_of(SL_SHA256, image.manifest, &image.manifest_digest, NULL), 0);
    return image;
}

static struct sl_key_source key_of(const char *file)
{
    return (struct sl_key_source){.name = (char *)file, .bytes = read_file(file)};
}

/* Verifies FILE against keys, names separated by blanks. */
static struct sl_signature_finding verify_with(struct sl_requirement requirement,
                                               struct sl_span message, const char *keys)
{
    struct sl_key_source sources[8] = {0};
    SL_AUTO_FREE char *names = strdup(keys);
    struct sl_signature_finding finding = {.code = SL_SIG_NONE};
    struct sl_judged_image image = image_of(MANIFEST);
    struct sl_signature signature = {.kind = SL_SIGNATURE_SIMPLE,
                                     .bytes = {(uint8_t *)message.data, message.len, 0}};
    SL_AUTO(sl_pgp_keyring) keyring = NULL;
    requirement.type = SL_REQUIRE_SIGNED_BY;
    requirement.keys.items = sources;
    char *save = NULL;
    for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save))
        sources[requirement.keys.n++] = key_of(name);
    int r = sl_pgp_keyring_open(&requirement, &keyring, &finding);
    if (r == 0)
        r = sl_simple_signature_verify(keyring, &requirement, &image, &signature, &finding);
    assert_int_equal(r, finding.code == SL_SIG_OK ? 0 : -EKEYREJECTED);
    for (size_t i = 0; i < requirement.keys.n; i++)
        sl_bytes_done(&sources[i].bytes);
    return finding;
}

static struct sl_signature_finding verify_file(const char *file, const char *keys)
{
    SL_AUTO_DONE(sl_bytes) message = read_file(file);
    return verify_with((struct sl_requirement){0}, sl_bytes_span(&message), keys);
}

#define assert_accepted(finding)                                                                   \
    do {                                                                                           \
        struct sl_signature_finding f_ = (finding);                                                \
        if (f_.code != SL_SIG_OK || f_.reason[0])                                                  \
            fail_msg("%s: %s", sl_signature_code_name(f_.code), f_.reason);                        \
    } while (0)
#define assert_refused(finding, want_code, part)                                                   \
    do {                                                                                           \
        struct sl_signature_finding f_ = (finding);                                                \
        if (f_.code != (want_code) || !strstr(f_.reason, (part)) || f_.key[0])                     \
            fail_msg("%s: %s", sl_signature_code_name(f_.code), f_.reason);                        \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) payload = {0};
    struct sl_error err = {0};
    world.dir = scratch_make();
    struct sl_judged_image image = image_of(MANIFEST);
    assert_done(sl_signature_payload_write(SL_PAYLOAD_TYPE_SIMPLE, NAME, &image.manifest_digest,
                                           "a test", 1700000000, &payload, &err));
    world.payload = strdup((const char *)payload.data);
    scratch_write(&world.dir, "payload", world.payload, 0600);
    scratch_write(&world.dir, "manifest.json", MANIFEST, 0600);
    make_keys();
    /* The user's own keys, all of them, are nobody's business. */
    char *home = scratch_path(&world.dir, "home");
    assert_int_equal(setenv("GNUPGHOME", home, 1), 0); /* NOLINT(concurrency-mt-unsafe) */
    free(home);
    run(SIGN "--sign payload", "good", "alice");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    run("gpgconf --homedir home --kill all");
    scratch_remove(&world.dir);
    free(world.payload);
    return 0;
}

/* ---- good ones ---- */

static void signature_by_one_of_the_keys_is_accepted(void **state)
{
    (void)state;
    SL_AUTO_FREE char *fpr = fingerprint("alice", "pub");
    struct sl_signature_finding finding = verify_file("good", "alice.pub");
    assert_accepted(finding);
    assert_string_equal(finding.key, fpr);
    assert_string_equal(finding.signed_name, NAME);
    assert_in_range(finding.signed_at, time(NULL) - 600, time(NULL));
    assert_accepted(verify_file("good", "bob.pub alice.pub rsa.pub"));
    run("cat bob.pub alice.pub >both.pub");
    assert_accepted(verify_file("good", "both.pub"));
    run(GPG "--armor --export alice bob >both.asc; cat both.asc bob.pub >mixed.asc");
    assert_accepted(verify_file("good", "both.asc"));
    assert_accepted(verify_file("good", "mixed.asc"));
    assert_accepted(verify_file("good", "alice.pub both.asc alice.pub"));
}

static void signature_of_every_accepted_algorithm_is_accepted(void **state)
{
    (void)state;
    static const char *const ways[][2] = {
        {"bob", "--digest-algo SHA384"},
        {"bob", "--digest-algo SHA512"},
        {"rsa", ""},
        {"rsa", "--digest-algo SHA512"},
        {"alice", "--compress-algo zlib"},
        {"alice", "--compress-algo none"},
        {"alice", "--force-v3-sigs"},
        {"alice", "-z 9"},
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        char pub[32];
        snprintf(pub, sizeof(pub), "%s.pub", ways[i][0]);
        run(SIGN "%s --sign payload", "way", ways[i][0], ways[i][1]);
        assert_accepted(verify_file("way", pub));
    }
}

static void signature_of_the_older_form_is_accepted(void **state)
{
    (void)state;
    /* gpg's own packets in the order of PGP 2: signature, literal. */
    run(SIGN "--compress-algo none --sign payload", "flat", "alice");
    run("mkdir -p split && cd split && gpgsplit ../flat && cat *.sig *.literal >../prefixed || "
        "cat *.sig *.plaintext >../prefixed");
    assert_accepted(verify_file("prefixed", "alice.pub"));
}

static void signature_by_a_subkey_names_its_primary_key(void **state)
{
    (void)state;
    make_key("parent", "", "ed25519", "never");
    SL_AUTO_FREE char *fpr = fingerprint("parent", "pub");
    run(GPG "--passphrase '' --pinentry-mode loopback --quick-add-key %s ed25519 sign never", fpr);
    run(GPG "--export %s >parent.pub", fpr);
    SL_AUTO_FREE char *sub = fingerprint("parent", "sub");
    run(GPG "-o bysub -u %s! --sign payload", sub);
    struct sl_signature_finding finding = verify_file("bysub", "parent.pub");
    assert_accepted(finding);
    assert_string_equal(finding.key, fpr);

    run("printf 'key 1\\nrevkey\\ny\\n0\\n\\ny\\nsave\\n' | gpg --homedir home --no-tty "
        "--command-fd 0 --pinentry-mode loopback --passphrase '' --edit-key %s",
        fpr);
    run(GPG "--export %s >revoked-sub.pub", fpr);
    finding = verify_file("bysub", "revoked-sub.pub");
    assert_refused(finding, SL_SIG_KEY, "revoked");
    assert_non_null(strstr(finding.reason, sub));
    assert_non_null(strstr(finding.reason, fpr));
    /* The primary key itself is still good. */
    run(GPG "-o byparent -u %s! --sign payload", fpr);
    assert_accepted(verify_file("byparent", "revoked-sub.pub"));
}

/* ---- bad signatures ---- */

static void signature_that_is_wrong_is_refused(void **state)
{
    (void)state;
    SL_AUTO_FREE char *fpr = fingerprint("stranger", "pub");
    run(SIGN "--sign payload", "strange", "stranger");
    struct sl_signature_finding finding = verify_file("strange", "alice.pub bob.pub");
    assert_refused(finding, SL_SIG_KEY, "not one of the policy's");
    assert_non_null(strstr(finding.reason, fpr + 24));

    run(SIGN "--compress-algo none --sign payload", "flat", "alice");
    run("sed 's/web.api/web-api/' flat >corrupt");
    assert_refused(verify_file("corrupt", "alice.pub"), SL_SIG_CRYPTO, "is wrong");
}

static void expired_signature_is_refused(void **state)
{
    (void)state;
    make_key("early", "--faked-system-time 20200101T000000", "ed25519", "never");
    run(GPG "--faked-system-time 20210101T000000 --default-sig-expire 5d -o late -u early --sign "
            "payload");
    struct sl_signature_finding finding = verify_file("late", "early.pub");
    assert_refused(finding, SL_SIG_TIME, "expired on 2021-01-0");
}

static void document_that_is_not_signed_once_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum sl_signature_code code;
        const char *says;
    } cases[] = {
        {GPG "-o bad --store payload", SL_SIG_FORMAT, "not signed"},
        {GPG "-o bad --encrypt -r bob@example.org payload", SL_SIG_FORMAT, "encrypted"},
        {GPG "-o bad -u alice --clearsign payload", SL_SIG_FORMAT, "clear-signed"},
        {GPG "-o bad -u alice --armor --sign payload", SL_SIG_FORMAT, "armoured"},
        {GPG "-o bad -u alice --detach-sign payload", SL_SIG_FORMAT, "without what it signs"},
        {GPG "-o bad -u alice -u bob --sign payload", SL_SIG_FORMAT, "more than one signature"},
        {GPG "-o bad -u alice --textmode --sign payload", SL_SIG_FORMAT, "signed as text"},
        {GPG "-o bad -u alice --compress-algo bzip2 --sign payload", SL_SIG_UNSUPPORTED, "BZip2"},
        {"cat good good >bad", SL_SIG_FORMAT, ""},
        {"cat flat flat >bad", SL_SIG_FORMAT, "bytes behind"},
        {GPG "-o lit --compress-algo none --store payload; cat lit flat >bad", SL_SIG_FORMAT,
         "not signed"},
        {"cat flat lit >bad", SL_SIG_FORMAT, "bytes behind"},
        {"cat alice.pub flat >bad", SL_SIG_FORMAT, "packet 6 does not belong"},
        {"printf '' >bad", SL_SIG_FORMAT, "not an OpenPGP packet"},
        {"head -c -1 flat >bad", SL_SIG_FORMAT, "cut short"},
        {"head -c 70000 /dev/zero >big; " GPG "-o bad -u alice --sign big", SL_SIG_LIMIT,
         "unpacks to more than"},
    };
    SL_AUTO_FREE char *bob = fingerprint("bob", "pub");
    run(GPG "--passphrase '' --pinentry-mode loopback --quick-add-key %s cv25519 encr never", bob);
    run(SIGN "--compress-algo none --sign payload", "flat", "alice");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run("%s", cases[i].line);
        assert_refused(verify_file("bad", "alice.pub"), cases[i].code, cases[i].says);
    }
}

static void weak_algorithms_are_refused(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) sha1 = {0};
    run(SIGN "--digest-algo SHA1 --sign payload", "sha1", "rsa");
    sha1 = read_file("sha1");
    assert_refused(verify_file("sha1", "rsa.pub"), SL_SIG_CRYPTO, "SHA1");
    assert_accepted(
        verify_with((struct sl_requirement){.is_compat = true}, sl_bytes_span(&sha1), "rsa.pub"));
    run(SIGN "--digest-algo SHA224 --sign payload", "sha224", "rsa");
    assert_refused(verify_file("sha224", "rsa.pub"), SL_SIG_CRYPTO, "SHA224");
    run(SIGN "--digest-algo RIPEMD160 --sign payload", "ripemd", "rsa");
    SL_AUTO_DONE(sl_bytes) ripemd = read_file("ripemd");
    assert_refused(
        verify_with((struct sl_requirement){.is_compat = true}, sl_bytes_span(&ripemd), "rsa.pub"),
        SL_SIG_CRYPTO, "RIPEMD160");
    run(SIGN "--digest-algo SHA256 --sign payload", "small", "small");
    assert_refused(verify_file("small", "small.pub"), SL_SIG_KEY, "RSA of 1024 bits");
    run(SIGN "--sign payload", "dsa", "dsa");
    assert_refused(verify_file("dsa", "dsa.pub"), SL_SIG_UNSUPPORTED, "DSA");
    run(SIGN "--sign payload", "koblitz", "koblitz");
    assert_refused(verify_file("koblitz", "koblitz.pub"), SL_SIG_UNSUPPORTED, "secp256k1");
}

static void text_is_read_in_the_other_dialect(void **state)
{
    (void)state;
    run(SIGN "--textmode --sign payload", "text", "alice");
    SL_AUTO_DONE(sl_bytes) text = read_file("text");
    assert_accepted(
        verify_with((struct sl_requirement){.is_compat = true}, sl_bytes_span(&text), "alice.pub"));
}

/* ---- bad keys ---- */

static void expired_key_is_refused_unless_it_was_good_then(void **state)
{
    (void)state;
    SL_AUTO_FREE char *fpr = fingerprint("old", "pub");
    run(SIGN "--faked-system-time 20200105T000000 --sign payload", "intime", "old");
    SL_AUTO_DONE(sl_bytes) intime = read_file("intime");
    struct sl_signature_finding finding = verify_file("intime", "old.pub");
    assert_refused(finding, SL_SIG_KEY, "expired on 2020-01-11");
    assert_non_null(strstr(finding.reason, fpr));
    struct sl_requirement lenient = {.allow_expired_key = true};
    finding = verify_with(lenient, sl_bytes_span(&intime), "old.pub");
    assert_accepted(finding);
    assert_string_equal(finding.key, fpr);
    assert_int_equal(finding.signed_at, 1578182400);

    /* Made long after, by a key whose life was cut only then. */
    run(GPG "--faked-system-time 20200102T000000 --quick-set-expire %s never; " GPG
            "--faked-system-time 20200301T000000 -o later -u old --sign payload",
        fpr);
    SL_AUTO_DONE(sl_bytes) later = read_file("later");
    assert_refused(verify_with(lenient, sl_bytes_span(&later), "old.pub"), SL_SIG_KEY,
                   "before it signed");
}

static void revoked_key_is_refused_even_when_expired(void **state)
{
    (void)state;
    make_key("gone", "--faked-system-time 20200101T000000", "ed25519", "10d");
    SL_AUTO_FREE char *fpr = fingerprint("gone", "pub");
    run(SIGN "--faked-system-time 20200105T000000 --sign payload", "gone", "gone");
    run("sed 's/^:-----/-----/' home/openpgp-revocs.d/%s.rev >rev; " GPG
        "--faked-system-time 20200106T000000 --import rev",
        fpr);
    run(GPG "--export gone >gone.pub");
    SL_AUTO_DONE(sl_bytes) gone = read_file("gone");
    SL_AUTO_FREE char *says = sl_strf("signed by key %s, which is revoked", fpr);
    assert_refused(verify_with((struct sl_requirement){.allow_expired_key = true},
                               sl_bytes_span(&gone), "gone.pub"),
                   SL_SIG_KEY, says);
    assert_refused(verify_file("gone", "gone.pub"), SL_SIG_KEY, says);
}

static void key_material_of_no_use_fails_the_requirement(void **state)
{
    (void)state;
    scratch_write(&world.dir, "garbage", "not a key\n", 0600);
    scratch_write(&world.dir, "nothing", "", 0600);
    assert_refused(verify_file("good", "alice.pub garbage"), SL_SIG_KEY_PARSE, "garbage");
    assert_refused(verify_file("good", "nothing alice.pub"), SL_SIG_KEY_PARSE, "nothing");
    assert_refused(verify_file("good", "good"), SL_SIG_KEY_PARSE, "no OpenPGP public key");
    run(GPG "--export-secret-keys --pinentry-mode loopback --passphrase '' alice >alice.sec");
    assert_refused(verify_file("good", "alice.sec"), SL_SIG_KEY_PARSE, "secret key");
    struct sl_pgp_keyring *keyring = NULL;
    struct sl_signature_finding finding = {0};
    struct sl_key_source unreadable = {.is_unreadable = true, .problem.msg = "no such file"};
    struct sl_requirement requirement = {.keys = {&unreadable, 1}};
    assert_int_equal(sl_pgp_keyring_open(&requirement, &keyring, &finding), -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_KEY_FETCH);
    assert_string_equal(finding.reason, "no such file");
    requirement.key_type = SL_PGP_KEY_TYPE_UNSUPPORTED;
    assert_int_equal(sl_pgp_keyring_open(&requirement, &keyring, &finding), -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_UNSUPPORTED);
    requirement = (struct sl_requirement){0};
    assert_int_equal(sl_pgp_keyring_open(&requirement, &keyring, &finding), -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_KEY_PARSE);
    assert_null(keyring);
}

/* ---- payloads ---- */

static void signed_payload_of_another_image_is_refused(void **state)
{
    (void)state;
    run("sed 's/web.api/web-other/' payload >other; sed 's/atomic/atomik/' payload >type; "
        "sed 's/sha256:./sha256:0/;s/sha256:0\\(.\\)./sha256:0\\1f/' payload >digest");
    run(SIGN "--sign other", "other.sig", "alice");
    run(SIGN "--sign type", "type.sig", "alice");
    run(SIGN "--sign digest", "digest.sig", "alice");
    struct sl_signature_finding finding = verify_file("other.sig", "alice.pub");
    assert_int_equal(finding.code, SL_SIG_IDENTITY);
    assert_string_equal(finding.signed_name, "registry.example/web-other:1.4");
    assert_int_equal(verify_file("type.sig", "alice.pub").code, SL_SIG_PAYLOAD);
    finding = verify_file("digest.sig", "alice.pub");
    assert_int_equal(finding.code, SL_SIG_DIGEST);
    assert_string_equal(finding.signed_name, "");
}

/* ---- making ---- */

static void make(const char *key, const char *passphrase, struct sl_bytes *message)
{
    struct sl_error err = {0};
    char *home = scratch_path(&world.dir, "home");
    struct sl_pgp_signer signer = {.home = home, .key = key, .passphrase = passphrase};
    assert_done(sl_simple_signature_make(sl_span_of(world.payload), &signer, message, &err));
    free(home);
}

static void signature_made_here_is_accepted(void **state)
{
    (void)state;
    static const char *const names[] = {"alice", "bob", "rsa"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        SL_AUTO_DONE(sl_bytes) message = {0};
        char address[64];
        char pub[32];
        snprintf(address, sizeof(address), "%s@example.org", names[i]);
        snprintf(pub, sizeof(pub), "%s.pub", names[i]);
        SL_AUTO_FREE char *fpr = fingerprint(names[i], "pub");
        make(i == 0 ? fpr : i == 1 ? fpr + 24 : address, NULL, &message);
        assert_accepted(verify_with((struct sl_requirement){0}, sl_bytes_span(&message), pub));
    }
}

static bool has_skopeo(void)
{
    return system("skopeo --version >/dev/null 2>&1") == 0; /* NOLINT */
}

/* containers/image's own verifier, where there is one. It reads the keys of GNUPGHOME. */
static void signature_made_here_is_accepted_by_skopeo(void **state)
{
    (void)state;
    if (!has_skopeo())
        skip();
    SL_AUTO_DONE(sl_bytes) message = {0};
    SL_AUTO_FREE char *fpr = fingerprint("rsa", "pub");
    make(fpr, NULL, &message);
    char *path = scratch_path(&world.dir, "made");
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(message.data, 1, message.len, f), message.len);
    assert_int_equal(fclose(f), 0);
    free(path);
    run("skopeo standalone-verify manifest.json " NAME " %s made", fpr);
}

static void signature_made_by_skopeo_is_accepted_and_its_payload_ours(void **state)
{
    (void)state;
    if (!has_skopeo())
        skip();
    SL_AUTO_FREE char *fpr = fingerprint("rsa", "pub");
    run("skopeo standalone-sign manifest.json " NAME " %s -o skopeo.sig", fpr);
    assert_accepted(verify_file("skopeo.sig", "rsa.pub"));

    run(GPG "-o skopeo.payload -d skopeo.sig");
    SL_AUTO_DONE(sl_bytes) theirs = read_file("skopeo.payload");
    SL_AUTO_DONE(sl_bytes) ours = {0};
    SL_AUTO_DONE(sl_signature_payload) payload = {0};
    struct sl_error err = {0};
    struct sl_judged_image image = image_of(MANIFEST);
    assert_done(
        sl_signature_payload_parse(sl_bytes_span(&theirs), SL_PAYLOAD_TYPE_SIMPLE, &payload, &err));
    assert_done(sl_signature_payload_write(SL_PAYLOAD_TYPE_SIMPLE, NAME, &image.manifest_digest,
                                           payload.creator, payload.timestamp, &ours, &err));
    assert_string_equal((const char *)ours.data, (const char *)theirs.data);
    assert_int_equal(ours.len, theirs.len);
}

static void secret_key_that_cannot_sign_is_named(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) message = {0};
    struct sl_error err;
    char *home = scratch_path(&world.dir, "home");
    struct sl_pgp_signer signer = {.home = home, .key = "nobody@example.org"};
    struct sl_span payload = sl_span_of(world.payload);
    assert_error(sl_simple_signature_make(payload, &signer, &message, &err), ENOKEY, SL_E_AUTH,
                 "no secret key with this");
    signer.key = "old@example.org";
    assert_error(sl_simple_signature_make(payload, &signer, &message, &err), ENOKEY, SL_E_AUTH,
                 "expired, revoked");
    signer.key = "locked@example.org";
    assert_error(sl_simple_signature_make(payload, &signer, &message, &err), EKEYREJECTED,
                 SL_E_AUTH, "needs a passphrase");
    signer.passphrase = "another";
    assert_error(sl_simple_signature_make(payload, &signer, &message, &err), EKEYREJECTED,
                 SL_E_AUTH, "wrong passphrase");
    signer.passphrase = PASSPHRASE;
    assert_int_equal(sl_simple_signature_make(payload, &signer, &message, NULL), 0);
    free(home);
}

int main(void)
{
    if (system("gpg --version >/dev/null 2>&1") != 0) { /* NOLINT */
        fputs("skipped: gpg is not installed (gnupg)\n", stderr);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_by_one_of_the_keys_is_accepted),
        cmocka_unit_test(signature_of_every_accepted_algorithm_is_accepted),
        cmocka_unit_test(signature_of_the_older_form_is_accepted),
        cmocka_unit_test(signature_by_a_subkey_names_its_primary_key),
        cmocka_unit_test(signature_that_is_wrong_is_refused),
        cmocka_unit_test(expired_signature_is_refused),
        cmocka_unit_test(document_that_is_not_signed_once_is_refused),
        cmocka_unit_test(weak_algorithms_are_refused),
        cmocka_unit_test(text_is_read_in_the_other_dialect),
        cmocka_unit_test(revoked_key_is_refused_even_when_expired),
        cmocka_unit_test(key_material_of_no_use_fails_the_requirement),
        cmocka_unit_test(signed_payload_of_another_image_is_refused),
        cmocka_unit_test(signature_made_here_is_accepted),
        cmocka_unit_test(signature_made_here_is_accepted_by_skopeo),
        cmocka_unit_test(signature_made_by_skopeo_is_accepted_and_its_payload_ours),
        cmocka_unit_test(secret_key_that_cannot_sign_is_named),
        cmocka_unit_test(expired_key_is_refused_unless_it_was_good_then),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
