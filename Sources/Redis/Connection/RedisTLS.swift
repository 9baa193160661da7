internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// Whom a client trusts, and what it shows of itself.
///
/// The server's certificate is always verified, and so is that it is for the host that was asked for: for its name, or for
/// the address that was connected to. TLS 1.2 is the oldest spoken.
public struct RedisTLS: Sendable, Hashable {
    /// A PEM file of the authorities to trust in place of the system's.
    public var caFile: String?
    /// A PEM file with the client's certificate chain, for a server that asks for one; needs ``keyFile``.
    public var certificateFile: String?
    /// A PEM file with the private key of the client's certificate.
    public var keyFile: String?

    /// Trusts the authorities of the system unless a file of others is named.
    public init(caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }

    /// Reads the files, on a thread that may block; at every connect, so that renewed files are taken up.
    func context() async throws(ConnectFailure) -> NIOSSLContext {
        do {
            return try await NIOThreadPool.singleton.runIfActive { try NIOSSLContext(configuration: configuration()) }
        } catch {
            throw ConnectFailure(reason: .tls("a certificate or key file cannot be used: \(error)"))
        }
    }

    /// The handler that goes in front of all others.
    static func handler(context: NIOSSLContext, host: String) throws -> NIOSSLClientHandler {
        // An address has no place in SNI; without a name the address of the peer is what the certificate must hold.
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }

    private func configuration() throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.trustRoots = caFile.map(NIOSSLTrustRoots.file) ?? .default
        // A peer that does not answer the farewell must not hold up the next attempt.
        configuration.shutdownTimeout = .milliseconds(100)
        if let certificateFile, let keyFile {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificateFile).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem))
        }
        return configuration
    }
}

extension RedisConnectionLoss {
    /// What an error on a channel means for its connection.
    init(_ error: any Error) {
        switch error {
        case NIOSSLError.uncleanShutdown: self = .closedByServer
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: self = .tls("\(error)")
        default: self = .network("\(error)")
        }
    }
}
