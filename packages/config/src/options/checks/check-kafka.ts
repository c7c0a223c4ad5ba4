import { parseSubscription } from "../../kafka/subscription.ts";
import type { Rule } from "./check.ts";
import { fileProblem } from "./file-problem.ts";

/** What must hold between the options of Kafka. */
export const kafkaRules: readonly Rule[] = [
	function brokersForTopics(config, name) {
		const user = (["kafkaTopics", "kafkaMessageTopics", "kafkaPublishTopic", "kafkaDeadLetter"] as const).find((key) => config[key] !== "");
		if (user === undefined || config.kafkaBrokers.length > 0) return null;
		return `${name(user)}: there are no brokers; name them with ${name("kafkaBrokers")}`;
	},
	function topicsForBrokers(config, name) {
		const { kafkaTopics, kafkaMessageTopics, kafkaPublishTopic } = config;
		if (config.kafkaBrokers.length === 0 || kafkaTopics !== "" || kafkaMessageTopics !== "" || kafkaPublishTopic !== "") return null;
		return `${name("kafkaBrokers")}: there is nothing to read; name topics with ${name("kafkaTopics")}`;
	},
	function deadLettersAreNotRead(config, name) {
		const { kafkaDeadLetter: topic, kafkaPublishTopic } = config;
		if (topic === "") return null;
		const names = (key: "kafkaTopics" | "kafkaMessageTopics") => parseSubscription(config[key]).names.includes(topic);
		const listed = (["kafkaTopics", "kafkaMessageTopics"] as const).find(names);
		const reads = topic === kafkaPublishTopic ? "kafkaPublishTopic" : listed;
		if (reads === undefined) return null;
		return `${name("kafkaDeadLetter")}: ${topic} is read as well (${name(reads)}), so a bad record would be read and written again without end; name another topic`;
	},
	function topicToPublish(config, name) {
		if ((config.publishVia === "kafka") === (config.kafkaPublishTopic !== "")) return null;
		if (config.publishVia === "kafka") return `${name("publishVia")}: to which topic? Name it with ${name("kafkaPublishTopic")}`;
		return `${name("kafkaPublishTopic")}: nothing is published to it without ${name("publishVia")} kafka`;
	},
	function credentials(config, name) {
		const { kafkaSasl, kafkaUsername, kafkaPassword } = config;
		const given = kafkaUsername !== "" && kafkaPassword !== undefined;
		if (kafkaSasl !== "none" && !given)
			return `${name("kafkaSasl")}: ${kafkaSasl} needs ${name("kafkaUsername")} and ${name("kafkaPassword")}`;
		if (kafkaSasl === "none" && kafkaUsername !== "") return `${name("kafkaUsername")}: how to log in? Say it with ${name("kafkaSasl")}`;
		return null;
	},
	function certificateAndKey(config, name) {
		if ((config.kafkaTlsCert === "") === (config.kafkaTlsKey === "")) return null;
		return `${name("kafkaTlsCert")} and ${name("kafkaTlsKey")}: one without the other; give both`;
	},
	function sslForCertificates(config, name) {
		const given = (["kafkaTlsCa", "kafkaTlsCert"] as const).find((key) => config[key] !== "");
		if (given === undefined || config.kafkaTls) return null;
		return `${name(given)}: TLS is off; switch it on with ${name("kafkaTls")}`;
	},
	...(["kafkaTlsCa", "kafkaTlsCert", "kafkaTlsKey", "kafkaRoute"] as const).map(
		(key): Rule =>
			function fileCanBeRead(config, name) {
				const problem = config[key] === "" ? null : fileProblem(config[key]);
				return problem === null ? null : `${name(key)}: ${config[key]} ${problem}`;
			},
	),
];
