import { readFileSync } from "node:fs";

type SaslMechanism = "plain" | "scram-sha-256" | "scram-sha-512";

/** How to connect to the brokers. Plain data, so that it can be sent to a worker. */
export interface KafkaConnectionOptions {
	readonly brokers: readonly string[];
	readonly clientId: string;
	readonly ssl: null | {
		readonly caPath: string | null;
		readonly certPath: string | null;
		readonly keyPath: string | null;
		readonly rejectUnauthorized: boolean;
	};
	readonly sasl: null | { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string };
	readonly connectionTimeoutMs: number;
}

/** The options in kafkajs' format. Reads the certificate files, so that a missing file is reported when the worker starts. */
export function kafkajsConnection(options: KafkaConnectionOptions) {
	const { ssl, sasl } = options;
	const read = (path: string | null) => (path === null ? {} : { value: readFileSync(path) });
	return {
		brokers: [...options.brokers],
		clientId: options.clientId,
		connectionTimeout: options.connectionTimeoutMs,
		authenticationTimeout: options.connectionTimeoutMs,
		...(ssl === null
			? {}
			: {
					ssl: {
						rejectUnauthorized: ssl.rejectUnauthorized,
						ca: read(ssl.caPath).value,
						cert: read(ssl.certPath).value,
						key: read(ssl.keyPath).value,
					},
				}),
		...(sasl === null ? {} : { sasl }),
	};
}
