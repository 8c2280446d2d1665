/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one version of everything that is built here; weft and weftd both say it. */
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

#define WEFT_VERSION "0.1.0"

#endif
