import { rmSync } from "node:fs";
import { KafkaBroker } from "./broker.ts";
import { KafkaUnavailable, kafkaVersion } from "./jars.ts";
import { isAlive, readNote, removeNote, writeNote } from "./running.ts";

const portDefault = 9092;

async function up(): Promise<void> {
	const running = readNote();
	if (running !== null && isAlive(running)) {
		console.log(`Kafka runs already: ${running.brokers} (pid ${running.pid})`);
		return;
	}
	const port = Number(process.env.KAFKA_PORT ?? portDefault);
	const broker = await KafkaBroker.run({ port, detached: true });
	writeNote({ pid: broker.pid!, directory: broker.directory, brokers: broker.brokers });
	console.log(`Kafka ${kafkaVersion} runs: ${broker.brokers} (pid ${broker.pid}, data in ${broker.directory})`);
	console.log(`  npm run demo:market -- --kafka-brokers ${broker.brokers}   writes events to it and says how to see them`);
	console.log("  npm run kafka:down   ends it and removes its data");
}

async function down(): Promise<void> {
	const running = readNote();
	if (running === null || !isAlive(running)) {
		console.log("Kafka does not run");
	} else {
		process.kill(running.pid, "SIGTERM");
		const deadline = Date.now() + 10_000;
		while (isAlive(running) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
		if (isAlive(running)) process.kill(running.pid, "SIGKILL");
		console.log(`Kafka at ${running.brokers} is down`);
	}
	if (running !== null) rmSync(running.directory, { recursive: true, force: true });
	removeNote();
}

const command = process.argv[2];
try {
	if (command === "up") await up();
	else if (command === "down") await down();
	else throw new KafkaUnavailable(`unknown command ${command ?? "(none)"}`, "Say up or down");
} catch (error) {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
}
