import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

/**
 * What Elasticsearch's index of users and API keys takes from the module analysis-common.
 *
 * <p>Maven Central has no such module; without these three, no key can be made.
 */
public class EmailAnalysis extends Plugin implements AnalysisPlugin {
    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of(
                "uax_url_email",
                (index, environment, name, settings) ->
                        TokenizerFactory.newFactory(name, UAX29URLEmailTokenizer::new));
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        AnalysisProvider<TokenFilterFactory> unique =
                (index, environment, name, settings) ->
                        filter(name, RemoveDuplicatesTokenFilter::new);
        AnalysisProvider<TokenFilterFactory> capture =
                (index, environment, name, settings) -> {
                    Pattern[] patterns =
                            settings.getAsList("patterns").stream()
                                    .map(Pattern::compile)
                                    .toArray(Pattern[]::new);
                    return filter(
                            name,
                            stream -> new PatternCaptureGroupTokenFilter(stream, true, patterns));
                };
        return Map.of(
                "unique",
                unique,
                "pattern_capture",
                AnalysisPlugin.requiresAnalysisSettings(capture));
    }

    private static TokenFilterFactory filter(String name, UnaryOperator<TokenStream> made) {
        return new TokenFilterFactory() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public TokenStream create(TokenStream stream) {
                return made.apply(stream);
            }
        };
    }
}
