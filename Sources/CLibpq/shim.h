#pragma once
#include <libpq-fe.h>

/* Function-like and character macros are not imported into Swift. */
static const int vireo_pg_diag_sqlstate = PG_DIAG_SQLSTATE;
static const int vireo_pg_diag_message_primary = PG_DIAG_MESSAGE_PRIMARY;
static const int vireo_pg_diag_message_detail = PG_DIAG_MESSAGE_DETAIL;
static const int vireo_pg_diag_constraint_name = PG_DIAG_CONSTRAINT_NAME;
static const int vireo_pg_diag_severity = PG_DIAG_SEVERITY_NONLOCALIZED;
static const int vireo_pg_diag_table_name = PG_DIAG_TABLE_NAME;

/* <sys/eventfd.h> is not part of Swift's Glibc module. */
#include <sys/eventfd.h>
static inline int vireo_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
