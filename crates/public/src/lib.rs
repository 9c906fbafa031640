//! The public side of copydesk, folded from the wire alone.
