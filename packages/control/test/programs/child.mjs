// A child of a supervisor whose options can never be brought into force. Its answer to "ask" is how many of 40 equal questions, and
// of 70 different ones, were answered.
import { connectToParent, PartAnswers } from "@shardcast/control";

const refuse = () => {
	throw Object.assign(new Error("no more files"), { code: "EMFILE" });
};
const answered = async (requests) =>
	(await Promise.allSettled(requests.map((request) => control.ask(question, request)))).filter(({ status }) => status === "fulfilled")
		.length;
const question = { name: "weather", deadlineMs: 20_000, asks: "shards", check: (data) => data };
const parts = new PartAnswers();
parts.add({ ...question, name: "ask" }, async () => ({
	equal: await answered(Array.from({ length: 40 }, () => null)),
	different: await answered(Array.from({ length: 70 }, (_, index) => index)),
}));
const control = connectToParent({
	start: async () => ({ port: 1 }),
	drain: async () => ({ cutOff: 0 }),
	reload: refuse,
	reloadRoute: refuse,
	parts,
});
process.send("listening");
