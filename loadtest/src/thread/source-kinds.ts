interface SourceKindMeaning {
	/** The senders are clients of the load test themselves, and do not get their own messages back. */
	readonly sendersListen: boolean;
	/** For --help. */
	readonly help: string;
}

/** Kinds of message source, as `--source` spells them. */
export const sourceKinds = {
	ws: { sendersListen: true, help: "clients send over their WebSockets" },
	http: { sendersListen: false, help: "separate senders use POST /api/publish" },
	kafka: { sendersListen: false, help: "separate senders produce to Kafka, from which the cluster reads" },
} as const satisfies Readonly<Record<string, SourceKindMeaning>>;
export type SourceKind = keyof typeof sourceKinds;
