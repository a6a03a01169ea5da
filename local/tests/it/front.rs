//! A door in front of an engine that counts who comes through, with TLS or without.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// It closes with the test's runtime.
pub(crate) struct Front {
    scheme: &'static str,
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Front {
    /// In front of the engine at this address.
    pub(crate) async fn plain(engine: &str) -> Self {
        Self::open(engine, None).await
    }

    /// The same, with TLS.
    pub(crate) async fn with_tls(engine: &str, tls: TlsAcceptor) -> Self {
        Self::open(engine, Some(tls)).await
    }

    async fn open(engine: &str, tls: Option<TlsAcceptor>) -> Self {
        let engine: SocketAddr = engine.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (scheme, connections) = (if tls.is_some() { "https" } else { "http" }, Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let tls = tls.clone();
                tokio::spawn(async move {
                    client.set_nodelay(true)?;
                    match tls {
                        Some(tls) => pass(tls.accept(client).await?, engine).await,
                        None => pass(client, engine).await,
                    }
                });
            }
        });
        Self { scheme, port, connections }
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Connections that were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, engine: SocketAddr) -> std::io::Result<()> {
    let mut engine = TcpStream::connect(engine).await?;
    engine.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut engine).await.map(|_| ())
}
