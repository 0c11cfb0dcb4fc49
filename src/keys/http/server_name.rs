//! TLS with a server whose certificate has another name than its address.

use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, RustlsConnector, SocksConnector,
    TcpConnector, Transport,
};

/// Returns what connects to servers, whose certificates have the name in `name`: `https://NAME`.
pub(super) fn connector(name: Uri) -> impl Connector {
    // What ureq does by itself, in the same order, but for the last.
    ().chain(SocksConnector::default())
        .chain(ConnectProxyConnector::default())
        .chain(TcpConnector::default())
        .chain(Named { name, tls: RustlsConnector::default() })
}

/// TLS in which a server is asked for, and known by, a name of the user's.
#[derive(Debug)]
struct Named {
    name: Uri,
    tls: RustlsConnector,
}

impl<In: Transport> Connector<In> for Named {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let named = ConnectionDetails {
            uri: if details.needs_tls() { &self.name } else { details.uri },
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.tls.connect(&named, chained)
    }
}
