/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for nghttp2, wiped when it is given back: messages lie in its buffers. */
#pragma once

#include <nghttp2/nghttp2.h>

/* For nghttp2_session_*_new3(), which copies it. */
nghttp2_mem *sl_http2_memory(void);
