#pragma once
#include <libpq-fe.h>

/* Function-like and character macros are not imported into Swift. */
static const int vireo_pg_diag_sqlstate = PG_DIAG_SQLSTATE;
static const int vireo_pg_diag_message_primary = PG_DIAG_MESSAGE_PRIMARY;
static const int vireo_pg_diag_message_detail = PG_DIAG_MESSAGE_DETAIL;
static const int vireo_pg_diag_constraint_name = PG_DIAG_CONSTRAINT_NAME;
