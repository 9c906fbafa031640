//! The command line of copydesk.

mod cli;

// Commands are many small pieces of text on several threads: glibc's allocator took a quarter of their time. Without huge
// pages (a feature of the crate): each thread that ever ran would keep some of 2 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // A panic's message may hold what it panicked over; where it happened is enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("{}", copydesk::own_fault(&place));
    }));
    cli::main()
}
