import type { FaultKind } from "../fault.ts";
import type { Rig } from "../rig.ts";

const lacks = (rig: Rig): string | null =>
	rig.kafka === null ? "no Kafka: it needs Java 17 and the jars, and is left out of the short run" : null;
const pausesMs = [1_000, 5_000, 40_000];

export const pauseKafka: FaultKind = {
	name: "pause-kafka",
	help: "SIGSTOP of the Kafka broker for 1, 5 or 40 s, then SIGCONT (needs Java)",
	isShort: false,
	draw(random) {
		const forMs = random.pick(pausesMs);
		return { target: 0, forMs, seed: 0, story: `${forMs / 1000} s` };
	},
	lacks,
	async inject(rig, { forMs }) {
		const pid = rig.kafka!.pid!;
		process.kill(pid, "SIGSTOP");
		try {
			await rig.wait(forMs);
		} finally {
			process.kill(pid, "SIGCONT");
		}
	},
};

export const killKafka: FaultKind = {
	name: "kill-kafka",
	help: "kill -9 of the Kafka broker, which is started again after 3 s (needs Java)",
	isShort: false,
	draw: () => ({ target: 0, forMs: 3_000, seed: 0, story: "" }),
	lacks,
	async inject(rig, { forMs }) {
		await rig.kafka!.kill();
		await rig.wait(forMs);
		await rig.kafka!.start();
	},
};
