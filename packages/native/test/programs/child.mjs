// Dies with its parent, or with the parent whose pid is given. It ignores that its channel closes.
import { dieWithParent } from "@shardcast/native";

process.title = "a (strange) name) 1 2 3";
if (process.argv[2] === undefined) dieWithParent();
else dieWithParent(Number(process.argv[2]));
process.send({ armed: true });
process.on("disconnect", () => {});
setInterval(() => {}, 60_000);
