//! The core of copydesk.
