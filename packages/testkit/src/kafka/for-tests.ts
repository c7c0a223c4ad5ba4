import { type BrokerOptions, KafkaBroker } from "./broker.ts";
import { KafkaUnavailable, kafkaJars, requireJava } from "./jars.ts";

/** What a suite tests against. `broker` is null when it is someone else's (KAFKA_TEST_BROKERS), which no test may stop. */
export interface TestKafka {
	readonly brokers: string;
	readonly broker: KafkaBroker | null;
	release(): Promise<void>;
}

/**
 * Whether Kafka suites can run here. When not, says so in one loud line with the mend, and in CI throws instead, so that a
 * skipped suite never looks like a passed one. Call it at the top of a suite: `describe.skipIf(!(await kafkaForTests()))`.
 */
export async function kafkaForTests(): Promise<boolean> {
	if (process.env.KAFKA_TEST_BROKERS) return true;
	try {
		await requireJava();
		await kafkaJars();
		return true;
	} catch (error) {
		if (!(error instanceof KafkaUnavailable) || process.env.CI === "true") throw error;
		process.stderr.write(`\n!!! KAFKA SUITES SKIPPED: ${error.message.replaceAll("\n", " ")} !!!\n\n`);
		return false;
	}
}

/** The broker at KAFKA_TEST_BROKERS, or a fresh one for this suite. Release it in `afterAll`. */
export async function acquireKafka(options: BrokerOptions = {}): Promise<TestKafka> {
	const given = process.env.KAFKA_TEST_BROKERS;
	if (given) return { brokers: given, broker: null, release: async () => {} };
	const broker = await KafkaBroker.run(options);
	return { brokers: broker.brokers, broker, release: () => broker.remove() };
}
