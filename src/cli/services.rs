//! Who wraps and unwraps data keys, by the flags, the environment and the personality.

use crate::cli::args::ServiceArgs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::keys::Services;

/// Returns the key services that `arguments` name.
///
/// # Errors
/// If something there is not as it should be.
pub fn services(context: &Context, arguments: &ServiceArgs) -> Result<Services, CliError> {
    let is_local = arguments.is_local().map_err(|text| {
        let message = format!(
            "could not parse {text} as bool value for flag enable-local-keyservice: \
             strconv.ParseBool: parsing \"{text}\": invalid syntax"
        );
        CliError::new(Exit::Generic, "keyservice", message)
    })?;
    let mut services = Services { is_local, ..Services::default() };
    #[cfg(feature = "keyservice")]
    remote::add(context, arguments, &mut services)?;
    #[cfg(not(feature = "keyservice"))]
    if arguments.addresses().next().is_some() {
        let _ = (context, &mut services);
        let message = "other key services are not built into this version of encfile";
        return Err(CliError::new(Exit::Generic, "keyservice", message));
    }
    Ok(services)
}

#[cfg(feature = "keyservice")]
mod remote {
    use std::sync::Arc;

    use super::{CliError, Context, Exit, ServiceArgs, Services};
    use crate::cli::env;
    use crate::keys::remote::{Address, Agent, Remote};

    /// Adds the services in other processes, and the agent.
    pub(super) fn add(
        context: &Context,
        arguments: &ServiceArgs,
        services: &mut Services,
    ) -> Result<(), CliError> {
        for text in arguments.addresses() {
            match Address::parse(text) {
                Ok(address) => {
                    if !address.is_private() && context.personality.warns_of_open_services() {
                        context.ui.warn(format_args!(
                            "data keys go to {address} without encryption: the protocol has none"
                        ));
                    }
                    services.others.push(Arc::new(Remote::new(address)));
                }
                Err(error) if context.personality.refuses_bad_services() => {
                    let message = format!("`{text}` is no address of a key service: {error}");
                    return Err(CliError::new(Exit::Generic, "keyservice", message)
                        .help("addresses are `tcp://host:port` and `unix:///path`"));
                }
                Err(_) => context.ui.warn(format_args!(
                    "Error parsing URI for keyservice, skipping uri=\"{text}\""
                )),
            }
        }
        if context.personality.uses_agent()
            && let Some(socket) = context.env.path(env::AGENT)
        {
            services.memory = Some(Arc::new(Agent::new(socket)));
        }
        Ok(())
    }
}
