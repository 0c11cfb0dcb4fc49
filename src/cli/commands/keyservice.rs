//! `keyservice`: wraps and unwraps data keys for other processes.

use std::net::TcpListener;
use std::path::Path;

use crate::cli::args::KeyserviceArgs;
use crate::cli::commands::answer;
use crate::cli::context::{self, Context};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::os::signals::{self, Hold};
use crate::cli::ui::{Ui, one_line};
use crate::keys::error_text;
use crate::keys::remote::Address;
use crate::service::{KeyServer, Listener, serve};

/// A socket that listens, with what removes it, and its address.
struct Listening {
    listener: Listener,
    address: Address,
    #[cfg(unix)]
    _socket: Option<crate::cli::os::socket::Socket>,
}

/// Runs the command.
pub fn run(
    context: &Context,
    arguments: &KeyserviceArgs,
    is_verbose: bool,
) -> Result<Exit, CliError> {
    let hold = Hold::new().map_err(|error| error::signals(&error))?;
    let (personality, ui) = (context.personality, context.ui);
    let listening = listen(arguments).map_err(|message| {
        let message = format!("Error running keyservice: {message}");
        CliError::new(Exit::Generic, "keyservice", message)
    })?;
    let mut server = KeyServer::new(move || context::credentials(personality, ui));
    if arguments.prompt {
        let on_stdout = personality.asks_on_stdout();
        server = server.asking(move |question| ask(ui, question, on_stdout));
    }
    let stop = server.stop();
    signals::on_termination(move || stop.now()).map_err(|error| error::signals(&error))?;
    if !listening.address.is_private() && personality.warns_of_open_services() {
        ui.warn(format_args!(
            "whoever reaches {} can use your keys: the protocol knows no passwords and no \
             encryption",
            listening.address
        ));
    }
    if personality.says_where_it_listens() || is_verbose {
        ui.line(format_args!("Listening on {}", listening.address));
    }
    serve(listening.listener, server).map_err(|error| {
        let message = format!("Error running keyservice: {error}");
        CliError::new(Exit::Generic, "keyservice", message)
    })?;
    hold.forget_pending();
    Ok(Exit::Success)
}

/// Listens, or says in Go's words why not.
fn listen(arguments: &KeyserviceArgs) -> Result<Listening, String> {
    let KeyserviceArgs { network, address, .. } = arguments;
    let failed = |error| format!("listen {network} {address}: bind: {}", error_text(&error));
    match &**network {
        #[cfg(unix)]
        "unix" => {
            use crate::cli::os::socket::Socket;
            let (socket, file) = Socket::listen(Path::new(address)).map_err(failed)?;
            Ok(Listening {
                listener: Listener::Unix { socket, only: None },
                address: Address::Unix(address.into()),
                _socket: Some(file),
            })
        }
        "tcp" | "tcp4" | "tcp6" => {
            let parsed = Address::parse(&format!("{network}://{address}"));
            parsed.map_err(|error| format!("listen {network}: {address}: {error}"))?;
            // Without a host, all addresses of this machine are meant.
            let place =
                if address.starts_with(':') { format!("[::]{address}") } else { address.clone() };
            let socket = TcpListener::bind(&place).map_err(failed)?;
            let place = socket.local_addr().map_err(failed)?.to_string();
            Ok(Listening {
                listener: Listener::Tcp(socket),
                address: Address::Tcp { place, version: None },
                #[cfg(unix)]
                _socket: None,
            })
        }
        _ => Err(format!("listen {network}: unknown network {network}")),
    }
}

/// Asks whether a request may be answered. Questions wait for each other.
fn ask(ui: Ui, question: &str, on_stdout: bool) -> Result<bool, String> {
    let text = format!("\n{}. Respond to request? (y/n): ", one_line(question));
    let show = || {
        if on_stdout {
            io::write_stdout(text.as_bytes())?;
        } else {
            ui.prompt(&text);
        }
        Ok(())
    };
    match answer(show) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err("EOF".to_owned()),
        Err(error) => Err(error.message().to_owned()),
    }
}
