import { type ConnectionOptions, connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { NodesTls } from "@shardcast/config";

/** Connects to targets with TLS. */
export class TargetTls {
	readonly #context: SecureContext;
	readonly #serverName: string | undefined;
	readonly #verify: boolean;

	constructor({ ca, servername, verify }: NodesTls) {
		this.#context = createSecureContext({ minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) });
		this.#serverName = servername;
		this.#verify = verify;
	}

	/** Its "secureConnect" comes when the certificate has been verified; a bad one is an error. */
	connect({ host, port }: { readonly host: string; readonly port: number }): TLSSocket {
		// `allowHalfOpen` is documented, but missing in the types.
		const options: ConnectionOptions & { readonly allowHalfOpen: boolean } = {
			host,
			port,
			allowHalfOpen: true,
			secureContext: this.#context,
			rejectUnauthorized: this.#verify,
			// Otherwise the host, if that is a name.
			...(this.#serverName === undefined ? {} : { servername: this.#serverName }),
		};
		const socket = connect(options);
		socket.setNoDelay(true);
		return socket;
	}
}
