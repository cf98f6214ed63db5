/* SPDX-License-Identifier: Apache-2.0 */
/* Who a certificate says its holder is: subjectAltName (RFC 5280, section 4.2.1.6) and the
 * extensions of Fulcio (its certificate-specification.md, 1.3.6.1.4.1.57264.1). Reads bytes of
 * foreigners, proves nothing. Inside security/ only. */
#pragma once

#include "sluice/core/bytes.h"

#include <openssl/x509v3.h>

/* No extension twice, none OpenSSL cannot read, not too many. */
SL_MUST_CHECK int sl_certificate_check_extensions(X509 *cert, struct sl_error *err);
/* Issuer of the OpenID token: .1.1 (the bare text), .1.8 (a UTF8String), or both alike. Never
 * empty, without NULs. */
SL_MUST_CHECK int sl_certificate_oidc_issuer(X509 *cert, struct sl_bytes *ret,
                                             struct sl_error *err);
/* type: GEN_EMAIL or GEN_URI. 0 when one of that type is want, byte for byte; SL_E_POLICY when
 * none is, SL_E_FORMAT when the names do not parse. A NUL in any name is refused. */
SL_MUST_CHECK int sl_certificate_need_name(X509 *cert, int type, const char *want,
                                           struct sl_error *err);
