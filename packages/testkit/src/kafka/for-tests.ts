import { KafkaBroker } from "./broker.ts";
import { KafkaUnavailable, kafkaJars, requireJava } from "./jars.ts";
import { sharedBrokers } from "./shared-broker.ts";

/** What a suite tests against. `broker` is null when others use it too, so that no test may stop it. */
export interface TestKafka {
	readonly brokers: string;
	readonly broker: KafkaBroker | null;
	release(): Promise<void>;
}

/**
 * Whether Kafka suites can run here. When not, says so in one loud line with the fix, and in CI throws instead, so that a
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

export interface KafkaNeeds {
	/** A broker for this suite alone, which it may stop. Not where KAFKA_TEST_BROKERS names one: then `broker` is null all the same. */
	readonly own?: boolean;
}

/**
 * The broker at KAFKA_TEST_BROKERS, the one that the run's suites share, or a fresh one. Name topics by the suite: others use the
 * same broker at the same time. Release it in `afterAll`.
 */
export async function acquireKafka({ own = false }: KafkaNeeds = {}): Promise<TestKafka> {
	const others = process.env.KAFKA_TEST_BROKERS || (own ? null : await sharedBrokers());
	if (others) return { brokers: others, broker: null, release: async () => {} };
	const broker = await KafkaBroker.run();
	return { brokers: broker.brokers, broker, release: () => broker.remove() };
}
