import java.io.IOException;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node on any port. Unlike the runner's own main it says why it cannot start. */
class OpenSearchNode {
    public static void main(String[] arguments) throws InterruptedException {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.setMaxHttpPort(65535);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(runner)));
        try {
            runner.build(arguments);
        } catch (RuntimeException error) {
            error.printStackTrace();
            System.exit(1);
        }
        Thread.currentThread().join(); // the node's own threads do not keep the JVM alive
    }

    private static void close(OpenSearchRunner runner) {
        try {
            runner.close();
        } catch (IOException error) {
            error.printStackTrace();
        }
    }
}
