import { describe } from "vitest";
import { framesContract, type SendingPeer, type TopicRig, topicsContract, transportContract } from "../contracts/transport-contract.ts";
import { FakeTopics, FakeTransport } from "../support/fake-transport.ts";

const start = async (): Promise<TopicRig & { connect(session: never): Promise<SendingPeer> }> => {
	const topics = new FakeTopics();
	return {
		bufferedBytesMax: FakeTransport.bufferedBytesMax,
		connect: async (session) => {
			const transport = new FakeTransport(topics, session);
			session.opened(transport);
			return transport.peer;
		},
		publish: (topic, message, isBinary) => void topics.publish(topic, message, isBinary),
		stop: () => {},
	};
};

describe("the fake transport of the tests is a transport", () => {
	describe("every transport", () => transportContract(start));
	describe("a bidirectional one", () => framesContract(start));
	describe("one with topics", () => topicsContract(start));
});
