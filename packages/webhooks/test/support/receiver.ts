import { type Config, loadConfig, type WebhookOptions } from "@shardcast/config";
import type { Caller, CallOutcome } from "@shardcast/webhooks";

export const secret = "a-secret-of-16-characters";

/** Options as they come from the environment. */
export function configOf(targets: readonly object[], { namespaces = [], ...more }: Settings = {}): Config {
	const all = targets.map((target) => ({ secret, endpoint: "http://receiver", ...target }));
	const { config } = loadConfig({
		environment: {
			SHARDCAST_WEBHOOKS: JSON.stringify(all),
			SHARDCAST_CHANNEL_NAMESPACES: JSON.stringify(namespaces.map((name) => ({ name }))),
			SHARDCAST_WEBHOOK_VACATED_DELAY: "0",
		},
	});
	return { ...config, ...more };
}

export type Settings = Partial<Config> & { readonly namespaces?: readonly string[] };

export interface Received {
	readonly stream: string;
	readonly time_ms: number;
	readonly dropped: number;
	readonly events: readonly { readonly id: string; readonly seq: number; readonly type: string; readonly channel?: string }[];
}

interface Request {
	readonly options: WebhookOptions;
	readonly headers: Readonly<Record<string, string>>;
	readonly text: string;
	readonly body: Received;
	readonly answer: (outcome: CallOutcome) => Promise<void>;
}

/** Receivers whose answers the test gives; time stands still until it is moved. */
export class Receivers {
	nowMs = 0;
	readonly requests: Request[] = [];
	retired = 0;
	stopped = 0;
	readonly told: string[] = [];
	#streams = 0;

	readonly clock = { nowMs: () => this.nowMs, unixMs: () => 1_700_000_000_000 + this.nowMs, random: () => 1 };

	readonly open = (options: WebhookOptions): Caller => ({
		call: ({ body, headers }) =>
			new Promise((resolve) => {
				const text = Buffer.from(body).toString();
				const answer = async (outcome: CallOutcome) => {
					resolve(outcome);
					await new Promise(setImmediate);
				};
				this.requests.push({ options, headers, text, body: JSON.parse(text) as Received, answer });
			}),
		retire: () => {
			this.retired++;
		},
		stop: () => {
			this.stopped++;
		},
	});

	get parts() {
		const line = (text: string) => void this.told.push(text);
		const log = { info: line, warn: line, error: (first: unknown, text?: string) => line(text ?? String(first)) };
		return {
			open: this.open,
			log: log as never,
			tell: (_level: string, text: string) => line(text),
			stream: "s",
			newStream: () => `s${this.#streams++ || ""}`,
			...this.clock,
		};
	}

	/** The types of the events of the last request, with their channels. */
	get last(): string[] {
		return typesOf(this.requests.at(-1)!);
	}

	/** Of all requests. */
	get all(): string[] {
		return this.requests.flatMap(typesOf);
	}

	async accept(): Promise<void> {
		await this.requests.at(-1)!.answer({ body: Buffer.of() });
	}

	async fail(status = 0, failure = status === 0 ? "unreachable" : "status"): Promise<void> {
		await this.requests.at(-1)!.answer({ failure, status, detail: status === 0 ? "ECONNREFUSED" : "" });
	}
}

function typesOf({ body }: Request): string[] {
	return body.events.map(({ type, channel }) => (channel === undefined ? type : `${type} ${channel}`));
}
