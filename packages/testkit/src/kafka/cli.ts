import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { KafkaBroker } from "./broker.ts";
import { kafkaVersion } from "./jars.ts";
import { isAlive, readNote, removeNote, writeNote } from "./running.ts";

const portDefault = 9092;

const usage = `usage: npm run kafka:up      starts a broker on 127.0.0.1:${portDefault} in the background; KAFKA_PORT names another port
       npm run kafka:down    stops it and removes its data`;

async function up(): Promise<void> {
	const running = readNote();
	if (running !== null && isAlive(running)) {
		console.log(`Kafka runs already: ${running.brokers} (pid ${running.pid})`);
		return;
	}
	const port = Number(process.env.KAFKA_PORT ?? portDefault);
	const broker = await KafkaBroker.run({ port, detached: true, lasting: true });
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

/** Only `up` or `down`, so that no mistyped or unknown flag starts or stops a broker. */
function commandOf(argv: string[]): "up" | "down" {
	try {
		const { values, positionals } = parseArgs({ args: argv, allowPositionals: true, options: { help: { type: "boolean", short: "h" } } });
		if (values.help) {
			console.log(usage);
			process.exit(0);
		}
		const [command, ...more] = positionals;
		if ((command === "up" || command === "down") && more.length === 0) return command;
		throw new Error(`unexpected "${positionals.join(" ")}"`);
	} catch (error) {
		console.error(`kafka: ${(error as Error).message}\n${usage}`);
		process.exit(2);
	}
}

const command = commandOf(process.argv.slice(2));
try {
	await (command === "up" ? up() : down());
} catch (error) {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
}
