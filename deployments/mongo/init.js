// Makes the replica set and the services' user. It runs at every `docker compose up`, and changes nothing that is right already but the
// user's password, which becomes the one that the environment holds. mongosh --nodb runs it, so that no password is on a command line.
const members = (process.env.MONGO_MEMBERS || "mongo:27017").split(",");
const database = process.env.MONGODB_DATABASE || "broadcaster";
const rootPassword = process.env.MONGO_ROOT_PASSWORD;
const password = process.env.MONGO_APP_PASSWORD;
if (!rootPassword || !password) {
  throw new Error("MONGO_ROOT_PASSWORD or MONGO_APP_PASSWORD is empty: run deployments/secrets.sh");
}

// The first member may belong to no set yet: it is asked alone.
const first = connect(`mongodb://${members[0]}/admin?directConnection=true`);
first.auth("root", rootPassword);
const notYetInitialized = 94;
try {
  first.runCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.code !== notYetInitialized) {
    throw error;
  }
  first.runCommand({ replSetInitiate: { _id: "rs0", members: members.map((host, id) => ({ _id: id, host })) } });
}

// The set as a whole: commands wait for its primary, whichever member that is.
const set = connect(`mongodb://${members.join(",")}/admin?replicaSet=rs0&serverSelectionTimeoutMS=60000`);
set.auth("root", rootPassword);

// The user may do in the one database what the services do, and nothing anywhere else.
const own = set.getSiblingDB(database);
const roles = [{ role: "readWrite", db: database }];
if (own.getUser("broadcaster")) {
  own.updateUser("broadcaster", { pwd: password, roles }, { w: "majority" });
} else {
  own.createUser({ user: "broadcaster", pwd: password, roles }, { w: "majority" });
}
print("The replica set and the user are ready.");
