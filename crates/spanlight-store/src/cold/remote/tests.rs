//! Remote tables, on a store in memory that can be switched off.
