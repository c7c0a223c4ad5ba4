import type { Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { type Certificate, certificateFor } from "@shardcast/config";

interface Usable {
	readonly serverNames: readonly string[];
	readonly context: SecureContext;
}

/** Decrypts connections that a process has accepted, with the certificate that each client asks for. */
export class ServerContexts {
	#usable: readonly Usable[];

	/** @param certificates at least one; the first is for clients without a known server name. @throws Error when one cannot be used. */
	constructor(certificates: readonly Certificate[]) {
		this.#usable = certificates.map(usable);
	}

	/** Sets the certificates for new connections. @throws Error when one cannot be used. Then nothing has changed. */
	use(certificates: readonly Certificate[]): void {
		this.#usable = certificates.map(usable);
	}

	/** Its data comes after the handshake, for which the caller limits the time. An error of the connection destroys the socket that is returned. */
	secure(connection: Socket): TLSSocket {
		const usables = this.#usable;
		const socket = new TLSSocket(connection, {
			isServer: true,
			secureContext: usables[0]!.context,
			SNICallback: (name, callback) => callback(null, certificateFor(usables, name).context),
		});
		connection.on("error", () => socket.destroy());
		return socket;
	}
}

function usable({ chain, key, serverNames }: Certificate): Usable {
	return { serverNames, context: createSecureContext({ cert: chain, key, minVersion: "TLSv1.2" }) };
}
