/** Ports of one node. `sasl` and `ssl` are there only for a broker that was asked for them. */
export interface BrokerPorts {
	readonly plain: number;
	readonly controller: number;
	readonly sasl?: number;
	readonly ssl?: number;
}

export interface SslStore {
	readonly keystorePath: string;
	readonly password: string;
}

/** The users of the SASL listener, the same for PLAIN and both kinds of SCRAM. */
export const saslUsers = { alice: "alice-secret" } as const;

export const scramCredentials = Object.entries(saslUsers).flatMap(([name, password]) =>
	["SCRAM-SHA-256", "SCRAM-SHA-512"].map((mechanism) => `${mechanism}=[name=${name},password=${password}]`),
);

/** `server.properties` of one KRaft node that is broker and controller at once, on loopback. */
export function serverProperties(directory: string, ports: BrokerPorts, ssl: SslStore | null, extra: Record<string, string>): string {
	const listeners = [`PLAINTEXT://127.0.0.1:${ports.plain}`];
	if (ports.sasl !== undefined) listeners.push(`SASL_PLAINTEXT://127.0.0.1:${ports.sasl}`);
	if (ports.ssl !== undefined) listeners.push(`SSL://127.0.0.1:${ports.ssl}`);
	const properties: Record<string, string> = {
		"process.roles": "broker,controller",
		"node.id": "1",
		listeners: [...listeners, `CONTROLLER://127.0.0.1:${ports.controller}`].join(","),
		"advertised.listeners": listeners.join(","),
		"controller.listener.names": "CONTROLLER",
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL",
		"controller.quorum.voters": `1@127.0.0.1:${ports.controller}`,
		"log.dirs": `${directory}/log`,
		"auto.create.topics.enable": "false",
		// A broker that was killed may not come back before its session has ended, 9 s by default.
		"broker.session.timeout.ms": "3000",
		"broker.heartbeat.interval.ms": "500",
		// One node: everything is replicated once, and few internal partitions make a quick start.
		"offsets.topic.replication.factor": "1",
		"offsets.topic.num.partitions": "4",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr": "1",
		"transaction.state.log.num.partitions": "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr": "1",
		"share.coordinator.state.topic.num.partitions": "1",
		"log.segment.bytes": "67108864",
		"log.cleaner.dedupe.buffer.size": "4194304",
	};
	if (ports.sasl !== undefined) {
		const users = Object.entries(saslUsers).map(([name, password]) => `user_${name}="${password}"`);
		const listener = "listener.name.sasl_plaintext";
		const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
		Object.assign(properties, {
			"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
			[`${listener}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required ${users.join(" ")};`,
			[`${listener}.scram-sha-256.sasl.jaas.config`]: scram,
			[`${listener}.scram-sha-512.sasl.jaas.config`]: scram,
		});
	}
	if (ssl !== null) {
		Object.assign(properties, {
			"listener.name.ssl.ssl.keystore.location": ssl.keystorePath,
			"listener.name.ssl.ssl.keystore.password": ssl.password,
			"listener.name.ssl.ssl.key.password": ssl.password,
			"listener.name.ssl.ssl.keystore.type": "PKCS12",
		});
	}
	return `${Object.entries({ ...properties, ...extra })
		.map(([key, value]) => `${key}=${value}`)
		.join("\n")}\n`;
}
